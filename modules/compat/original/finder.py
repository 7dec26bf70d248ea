"""Answers `import ldm…`, `sgm…`, `k_diffusion…`, `open_clip…` and `torchvision…` where these are not installed.

A1111 clones the first three and brings the others; extensions import them for classes to ask after, for small helpers
and for transforms. `TABLE` says which names there are and where they are made; whatever is really installed wins.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Sequence

BLOCKS, UNET = "modules.compat.original.blocks", "modules.compat.original.unet"
PARTS, VISION, STEPS = "modules.compat.original.parts", "modules.compat.original.vision", "modules.compat.original.k"
LORA = "modules.compat.original.lora"
MODEL, CLIP = "modules.compat.model", "modules.compat.clip"

Names = dict[str, Sequence[str]]
"""Where names are made -> the names."""

_ATTENTION: Names = {
    BLOCKS: ("CrossAttention", "MemoryEfficientCrossAttention", "BasicTransformerBlock", "SpatialTransformer"),
    PARTS: ("default", "exists", "FeedForward", "GEGLU", "rearrange", "repeat", "einsum", "nn", "torch", "F"),
}
_OPENAI: Names = {
    BLOCKS: ("TimestepBlock", "TimestepEmbedSequential", "ResBlock", "Downsample", "Upsample", "SpatialTransformer"),
    UNET: ("UNetModel", "timestep_embedding"),
    PARTS: ("th", "nn", "conv_nd", "zero_module", "linear"),
}
_UTIL: Names = {
    UNET: ("timestep_embedding",),
    PARTS: ("conv_nd", "zero_module", "linear", "extract_into_tensor", "checkpoint"),
}
_SMALL: Names = {
    PARTS: ("default", "exists", "instantiate_from_config", "get_obj_from_str", "ismap", "isimage", "count_params")
}

TABLE: dict[str, Names] = {
    "ldm": {},
    "ldm.util": _SMALL,
    "ldm.modules": {},
    "ldm.modules.attention": _ATTENTION,
    "ldm.modules.diffusionmodules": {},
    "ldm.modules.diffusionmodules.openaimodel": _OPENAI,
    "ldm.modules.diffusionmodules.util": _UTIL,
    "ldm.modules.diffusionmodules.model": {PARTS: ("AttnBlock", "MemoryEfficientAttnBlock", "ResnetBlock")},
    "ldm.modules.distributions": {},
    "ldm.modules.distributions.distributions": {PARTS: ("DiagonalGaussianDistribution",)},
    "ldm.modules.encoders": {},
    "ldm.modules.encoders.modules": {PARTS: ("FrozenCLIPEmbedder", "FrozenOpenCLIPEmbedder")},
    "ldm.models": {},
    "ldm.models.autoencoder": {PARTS: ("AutoencoderKL",)},
    "ldm.models.diffusion": {},
    "ldm.models.diffusion.ddpm": {MODEL: ("LatentDiffusion",), PARTS: ("LatentDepth2ImageDiffusion",)},
    "ldm.models.diffusion.ddim": {PARTS: ("DDIMSampler",)},
    "ldm.models.diffusion.plms": {PARTS: ("PLMSSampler",)},
    "sgm": {},
    "sgm.util": _SMALL,
    "sgm.models": {},
    "sgm.models.diffusion": {PARTS: ("DiffusionEngine",)},
    "sgm.modules": {MODEL: ("GeneralConditioner",)},
    "sgm.modules.attention": _ATTENTION,
    "sgm.modules.encoders": {},
    "sgm.modules.encoders.modules": {
        MODEL: ("GeneralConditioner",),
        PARTS: ("FrozenCLIPEmbedder", "FrozenOpenCLIPEmbedder", "FrozenOpenCLIPEmbedder2", "ConcatTimestepEmbedderND"),
    },
    "sgm.modules.diffusionmodules": {},
    "sgm.modules.diffusionmodules.openaimodel": _OPENAI,
    "sgm.modules.diffusionmodules.util": _UTIL,
    "sgm.modules.diffusionmodules.model": {PARTS: ("AttnBlock", "MemoryEfficientAttnBlock", "ResnetBlock")},
    "k_diffusion": {},
    "k_diffusion.utils": {STEPS: ("append_dims",)},
    "k_diffusion.external": {STEPS: ("CompVisDenoiser", "CompVisVDenoiser", "DiscreteSchedule")},
    "k_diffusion.sampling": {STEPS: ("*",)},
    "lora": {LORA: ("*",)},
    "networks": {LORA: ("*",)},
    "network": {LORA: ("Network", "NetworkOnDisk")},
    "open_clip": {CLIP: ("tokenize",)},
    "open_clip.tokenizer": {CLIP: ("_tokenizer", "tokenize")},
    "torchvision": {VISION: ("__version__",)},
    "torchvision.utils": {VISION: ("make_grid", "save_image")},
    "torchvision.transforms": {VISION: ("*",)},
    "torchvision.transforms.functional": {VISION: ("*functional",)},
    "torchvision.transforms.transforms": {VISION: ("*",)},
}
"""Module -> where its names are made. A star: all that the module says it has (`ALL`, `FUNCTIONS`)."""

_STARS = {"*": "ALL", "*functional": "FUNCTIONS"}


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last on `sys.meta_path`. of_guest: whether a file is an extension's; others are not answered, so that
    libraries go on seeing what is installed.
    """

    def __init__(self, of_guest: Callable[[str], bool]) -> None:
        self._of_guest = of_guest

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name not in TABLE or not self._of_guest(_asking()):
            return None
        if name == "torchvision":
            from modules.loading import loader

            loader.import_libraries()  # they ask whether there is torchvision: before something stands in for it
        packed = any(each.startswith(f"{name}.") for each in TABLE)
        return importlib.machinery.ModuleSpec(name, self, is_package=packed)

    def exec_module(self, module: types.ModuleType) -> None:
        for home, names in TABLE[module.__name__].items():
            made = importlib.import_module(home)
            for name in names:
                if name in _STARS:
                    for each, value in getattr(made, _STARS[name]).items():
                        setattr(module, each, value)  # a class among them may be the module's own
                else:
                    setattr(module, name, getattr(made, name))
        for each in TABLE:  # `import torchvision` alone, then `torchvision.transforms.functional`
            if each.rpartition(".")[0] == module.__name__:
                importlib.import_module(each)


def _asking() -> str:
    """The file with the import statement."""
    frame = sys._getframe(2)
    while frame.f_back is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame.f_code.co_filename


def install(of_guest: Callable[[str], bool]) -> Callable[[], None]:
    """Answer from now on -> what ends it."""
    finder = Finder(lambda file: file == __file__ or of_guest(file))
    sys.meta_path.append(finder)

    def end() -> None:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
        for name, module in list(sys.modules.items()):
            if getattr(getattr(module, "__spec__", None), "loader", None) is finder:
                del sys.modules[name]

    return end
