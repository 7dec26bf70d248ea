"""A checkpoint file to a model that can be called. Weights are mapped from the file; nothing asks any hub.

diffusers' own single-file conversion maps the names, with a configuration worked out from the shapes.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import logging
import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from modules.core.device import Placement
from modules.core.errors import DamagedFile
from modules.core.process import NoiseProcess, TrainedLevels, VarianceExploding, scaled_linear_levels
from modules.loading import families, header
from modules.loading.configs import clip as clip_config
from modules.loading.configs import unet as unet_config
from modules.loading.configs import vae as vae_config
from modules.loading.families import Family, TextTower
from modules.loading.library import Checkpoint
from modules.loading.prediction import Network
from modules.loading.residency import Residency
from modules.loading.text import TextEncoder
from modules.loading.vae import Vae

log = logging.getLogger(__name__)

Weights = Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """A loaded checkpoint: its parts, and the facts of its family that sampling needs."""

    checkpoint: Checkpoint
    family: Family
    placement: Placement
    unet: nn.Module
    text: TextEncoder
    vae: Vae
    levels: TrainedLevels
    process: NoiseProcess
    residency: Residency

    @property
    def network(self) -> Network:
        """The raw prediction, in the model's number format."""

        def call(x: Tensor, moment: Tensor, context: Tensor) -> Tensor:
            answer: Tensor = self.unet(
                x.to(self.placement.dtype),
                moment,
                encoder_hidden_states=context.to(self.placement.dtype),
                return_dict=False,
            )[0]
            return answer

        return call


def load(checkpoint: Checkpoint, placement: Placement, residency: Residency) -> Model:
    """Read a checkpoint. Raises DamagedFile when parts are missing or of odd shapes."""
    started = time.perf_counter()
    import_libraries()
    facts = header.read(checkpoint.path)
    family = families.detect(facts)
    obstacle = families.obstacle(family, facts)
    if obstacle:
        raise DamagedFile(f"{checkpoint.name}: {obstacle}")
    weights = _mapped(checkpoint)
    try:
        unet = _unet(_below(weights, families.UNET), family, placement, residency.home)
        tower = _clip(_below(weights, family.towers[0].prefix), family.towers[0], placement, residency.home)
        autoencoder = _vae(_below(weights, families.VAE), placement, residency.home)
    except (KeyError, StopIteration, RuntimeError, ValueError) as error:
        raise DamagedFile(f"{checkpoint.name}: not a complete {family.title} checkpoint ({error}).") from error
    residency.manage({"text": tower, "denoiser": unet, "vae": autoencoder})
    log.info("Loaded %s (%s) in %.1f s.", checkpoint.title, family.title, time.perf_counter() - started)
    return Model(
        checkpoint=checkpoint,
        family=family,
        placement=placement,
        unet=unet,
        text=TextEncoder(tower, placement.device),
        vae=Vae(autoencoder, family.latent),
        levels=scaled_linear_levels(),
        process=VarianceExploding(),
        residency=residency,
    )


def import_libraries() -> None:
    """Import the heavy libraries (seconds, the first time). Harmless to call early or twice."""
    declare_vision_operators()
    importlib.import_module("transformers.models.clip.modeling_clip")
    importlib.import_module("diffusers.models.unets.unet_2d_condition")
    importlib.import_module("diffusers.models.autoencoders.autoencoder_kl")
    importlib.import_module("diffusers.loaders.single_file_utils")


@functools.cache
def declare_vision_operators() -> object | None:
    """Keep a CUDA-linked torchvision from breaking transformers and diffusers beside a CPU-only torch.

    Its import fails for want of two operators; declaring them (they are never called here) lets it through. The cache
    keeps the declaration alive with the process.
    """
    if importlib.util.find_spec("torchvision") is None or torch.version.cuda or torch.version.hip:
        return None
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call, unused-ignore]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return library


def _mapped(checkpoint: Checkpoint) -> Weights:
    """All tensors of the file as views of the mapped file: nothing is read before it is used."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(checkpoint.path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise DamagedFile(f"{checkpoint.name}: {error}.") from error


def _below(weights: Weights, prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _shapes(weights: Weights) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}


def _unet(weights: Weights, family: Family, placement: Placement, home: torch.device) -> nn.Module:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from modules.loading import attention, upsample

    config = unet_config.config(_shapes(weights), family)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    upsample.fit(unet)
    attention.install(unet)
    prefixed = {families.UNET + name: tensor for name, tensor in weights.items()}
    converted = convert_ldm_unet_checkpoint(prefixed, dict(unet.config))
    return _filled(unet, converted, home, placement.dtype, channels_last=placement.channels_last)


def _vae(weights: Weights, placement: Placement, home: torch.device) -> nn.Module:
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    with torch.device("meta"):
        autoencoder = AutoencoderKL(**vae_config.config(_shapes(weights)))
    converted = convert_ldm_vae_checkpoint(dict(weights), dict(autoencoder.config))
    return _filled(autoencoder, converted, home, placement.vae_dtype, channels_last=placement.channels_last)


def _clip(weights: Weights, tower: TextTower, placement: Placement, home: torch.device) -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    named = {name.removeprefix("text_model."): tensor for name, tensor in weights.items()}
    named.pop("embeddings.position_ids", None)
    with torch.device("meta"):
        model = CLIPTextModel(CLIPTextConfig(**clip_config.config(_shapes(named), tower)))
    embeddings = model.embeddings
    places = embeddings.position_ids.shape[-1]
    embeddings.position_ids = torch.arange(places, device=home).expand(1, -1)
    return _filled(model, named, home, placement.dtype)


def _filled(
    model: nn.Module, weights: Weights, device: torch.device, dtype: torch.dtype, *, channels_last: bool = False
) -> nn.Module:
    """Put weights into a model made on the meta device; each tensor is converted and moved once."""
    ready = {name: tensor.to(device=device, dtype=dtype) for name, tensor in weights.items()}
    model.load_state_dict(ready, strict=True, assign=True)
    if channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.eval().requires_grad_(False)
