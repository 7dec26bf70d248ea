"""Loading a checkpoint: against the speed of the disk, the size of the file, and diffusers' from_single_file.

    python benchmarks/loading.py [--family sdxl|sd1|sd2] [--stored float16|float32] [--dtype float16|float32]
                                 [--rounds N] [--folder DIR]

Makes a random checkpoint of the real size (in float16; SDXL: 6.9 GB of free disk), loads it on the CPU in processes
of their own, the file's pages dropped from the cache before each, and deletes it. Prints seconds to the loaded model,
to every number of it read once, and two peaks of memory over what the process had before, as shares of the file: all
that is resident, mapped pages of the file among it (at most 1.15 is wanted), and what is the process's own (the
system takes the mapped pages back when it needs room). With --dtype float32 the numbers of the file become twice as
long, whatever loads them: twice the file is the least; a file stored in float32 needs no more than itself. diffusers
is given its configurations and tokenizers in a local folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

BLOCK = 64 * 2**20
STORED = {"float16": "F16", "float32": "F32"}
"""numpy's name of a number format -> that in headers of .safetensors files."""
CONTENDERS = ("disk", "easel", "diffusers")
PIPELINES = {"sd1": "StableDiffusionPipeline", "sd2": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline"}


def main() -> None:
    asked = arguments()
    if asked.only:
        print(json.dumps(CHILDREN[asked.only](asked)))
        return
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        asked.file, asked.configs = Path(folder) / "model.safetensors", Path(folder) / "configs"
        make(asked.family, asked.file, asked.stored)
        write_configs(asked)
        results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
        for _ in range(asked.rounds):
            for name in CONTENDERS:
                forget(asked.file)
                results[name].append(measured(name, asked))
        report(asked, results, asked.file.stat().st_size)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=tuple(PIPELINES), default="sdxl")
    parser.add_argument("--stored", choices=tuple(STORED), default="float16", help="numbers in the file")
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the file is made (a temporary folder)")
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--configs", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def make(family: str, path: Path, stored: str) -> None:
    """A checkpoint of small random numbers; stored: their format, "float16" or "float32"."""
    import numpy as np

    from modules.loading import safetensors_writing
    from modules.loading.header import TensorInfo
    from tests.loading.invented import REAL

    infos = {
        prefix + name: TensorInfo(STORED[stored], shape)
        for prefix, shapes in REAL[family]().items()
        for name, shape in shapes
    }
    numbers = (np.random.default_rng(0).standard_normal(BLOCK // 4, dtype=np.float32) * 0.02).astype(stored)
    block = numbers.tobytes()

    def parts() -> Iterator[bytes]:
        for info in infos.values():
            length = safetensors_writing.extent(info)
            yield (block * (length // len(block) + 1))[:length]

    safetensors_writing.write(path, infos, parts())


def forget(path: Path) -> None:
    """Drop the file's pages from the system's cache."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measured(name: str, asked: argparse.Namespace) -> dict[str, float]:
    options = {"--only": name, "--family": asked.family, "--dtype": asked.dtype}
    options |= {"--file": str(asked.file), "--configs": str(asked.configs)}
    command = [sys.executable, __file__, *(word for pair in options.items() for word in pair)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


def from_disk(asked: argparse.Namespace) -> dict[str, float]:
    """Reading the file from its beginning to its end."""
    started = time.perf_counter()
    with asked.file.open("rb", buffering=0) as file:
        buffer = bytearray(BLOCK)
        while file.readinto(buffer):
            pass
    seconds = time.perf_counter() - started
    return {"loaded": seconds, "read": seconds, "own": 0.0, "resident": 0.0}


def easel(asked: argparse.Namespace) -> dict[str, float]:
    import torch

    from modules.core.device import Placement
    from modules.core.store import Store
    from modules.loading import loader
    from modules.loading.library import Library
    from modules.loading.residency import Residency

    loader.import_libraries()
    dtype = getattr(torch, asked.dtype)
    placement = Placement(device=torch.device("cpu"), dtype=dtype, vae_dtype=dtype)
    library = Library([], Store(asked.configs / "bench.sqlite"), files=[asked.file])
    checkpoint = library.find(asked.file.name)

    def load() -> list[Any]:
        model = loader.load(checkpoint, placement, Residency("normal", placement.device))
        return [model.unet, model.vae.network, *model.text.towers.values()]

    return timed(load)


def plain(asked: argparse.Namespace) -> dict[str, float]:
    from modules.loading import loader

    loader.declare_vision_operators()
    import diffusers
    import torch

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    kind = getattr(diffusers, PIPELINES[asked.family])
    diffusers.UNet2DConditionModel, diffusers.AutoencoderKL  # noqa: B018 (imported now, not while the clock runs)

    def load() -> list[Any]:
        with contextlib.redirect_stdout(sys.stderr):
            pipeline = kind.from_single_file(
                str(asked.file),
                config=str(asked.configs),
                torch_dtype=getattr(torch, asked.dtype),
                local_files_only=True,
            )
        return [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]

    return timed(load)


CHILDREN: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "disk": from_disk,
    "easel": easel,
    "diffusers": plain,
}


def timed(load: Callable[[], list[Any]]) -> dict[str, float]:
    """Seconds to the loaded parts and to every number of them read, and bytes at the peak: own, and all resident."""
    with Watch() as watch:
        started = time.perf_counter()
        parts = load()
        loaded = time.perf_counter() - started
        total = sum(float(tensor.view(-1)[:: 2048 // tensor.element_size()].float().sum()) for tensor in _all(parts))
        read = time.perf_counter() - started
    assert total == total
    grown = {name: watch.peak[name] - before for name, before in watch.before.items()}
    return {"loaded": loaded, "read": read, **grown}


def _all(parts: list[Any]) -> Iterator[Any]:
    """Every parameter, in the order in which it lies in memory: one number a page is enough to read the page."""
    for part in parts:
        for tensor in part.parameters():
            dense = tensor.detach()
            yield dense.as_strided((dense.numel(),), (1,), dense.storage_offset())


class Watch:
    """Looks at the memory of this process every 20 ms. before, peak: as `memory` tells it."""

    def __enter__(self) -> Watch:
        self.before = self.peak = memory()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._raise()

    def _look(self) -> None:
        while not self._ending.wait(0.02):
            self._raise()

    def _raise(self) -> None:
        now = memory()
        self.peak = {name: max(value, now[name]) for name, value in self.peak.items()}


def memory() -> dict[str, int]:
    """Bytes: "resident" all pages, "own" the anonymous ones (all, where the system tells no difference)."""
    try:
        lines = (line.split() for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
        found = {words[0]: int(words[1]) * 1024 for words in lines if words[0] in ("RssAnon:", "VmRSS:")}
        return {"own": found["RssAnon:"], "resident": found["VmRSS:"]}
    except (OSError, KeyError):
        import psutil

        resident = int(psutil.Process().memory_info().rss)
        return {"own": resident, "resident": resident}


def write_configs(asked: argparse.Namespace) -> None:
    """The folder that diffusers reads configurations and tokenizers from: those of our own model, and CLIP's words."""
    from benchmarks.txt2img import tokenizer
    from modules.loading import families, opening
    from modules.loading.configs import clip, unet, vae

    header = opening.header(asked.file)
    family = families.detect(header)

    def below(prefix: str) -> dict[str, tuple[int, ...]]:
        return {name[len(prefix) :]: each.shape for name, each in header.tensors.items() if name.startswith(prefix)}

    sdxl = asked.family == "sdxl"
    index: dict[str, Any] = {"_class_name": PIPELINES[asked.family], "_diffusers_version": "0"}
    parts: dict[str, tuple[str, str, dict[str, Any]]] = {
        "unet": ("diffusers", "UNet2DConditionModel", unet.config(below(families.UNET), family)),
        "vae": ("diffusers", "AutoencoderKL", vae.config(below(families.VAE))),
        "scheduler": ("diffusers", "EulerDiscreteScheduler", {"beta_schedule": "scaled_linear", "steps_offset": 1}),
    }
    for number, tower in enumerate(family.towers):
        name = "text_encoder" + ("_2" if number else "")
        shapes = {own.removeprefix("text_model."): shape for own, shape in below(tower.prefix).items()}
        projected = "text_projection" in shapes
        kind = "CLIPTextModelWithProjection" if sdxl and projected else "CLIPTextModel"
        parts[name] = ("transformers", kind, text_config(shapes, tower, clip))
        words = "tokenizer" + ("_2" if number else "")
        tokenizer().save_pretrained(asked.configs / words)
        index[words] = ["transformers", "CLIPTokenizer"]
    for name, (library, kind, config) in parts.items():
        index[name] = [library, kind]
        file = "scheduler_config.json" if name == "scheduler" else "config.json"
        (asked.configs / name).mkdir(parents=True)
        (asked.configs / name / file).write_text(json.dumps({"_class_name": kind, "architectures": [kind], **config}))
    optional = {} if sdxl else {"safety_checker": [None, None], "feature_extractor": [None, None]}
    (asked.configs / "model_index.json").write_text(json.dumps(index | optional))


def text_config(shapes: dict[str, tuple[int, ...]], tower: Any, clip: Any) -> dict[str, Any]:
    from modules.loading.parts import shapes as shapes_of

    if tower.layout == "clip":
        return {"model_type": "clip_text_model", **clip.config(shapes, tower)}
    import torch

    from modules.loading import open_clip

    meta = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    converted = open_clip.converted(meta, projected="text_projection" in shapes)
    return {"model_type": "clip_text_model", **clip.config(shapes_of(converted), tower)}


def report(asked: argparse.Namespace, results: dict[str, list[dict[str, float]]], size: int) -> None:
    title = f"{asked.family}, {asked.stored} file of {size / 1e9:.2f} GB, as {asked.dtype} on the CPU"
    print(f"{title}, {asked.rounds} rounds")
    print(f"accelerate, which lets diffusers skip drawing first weights: {'yes' if find_spec('accelerate') else 'no'}")
    medians = {
        name: {key: statistics.median(each[key] for each in rows) for key in rows[0]} for name, rows in results.items()
    }
    print(f"disk       {medians['disk']['read']:.2f} s for the file: {size / 1e6 / medians['disk']['read']:.0f} MB/s")
    for name in ("easel", "diffusers"):
        row = medians[name]
        times = f"loaded {row['loaded']:.2f} s, every number read {row['read']:.2f} s"
        peaks = f"memory at its peak {row['resident'] / size:.2f} of the file, its own {row['own'] / size:.2f}"
        print(f"{name:10} {times}, {peaks}")
    ratio = medians["easel"]["read"] / medians["diffusers"]["read"]
    print(f"Easel / diffusers: {ratio:.2f}; Easel / disk: {medians['easel']['read'] / medians['disk']['read']:.2f}")


if __name__ == "__main__":
    main()
