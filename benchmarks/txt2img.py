"""Easel against a plain diffusers pipeline: the same weights, prompt, steps and size, in one process.

    python benchmarks/txt2img.py [--checkpoint FILE] [--steps N] [--size WxH] [--rounds N] [--device cuda]

Prints the ratio of medians (Easel / diffusers; below 1 Easel is faster). Rounds alternate, so that a machine that slows
down does so for both. What is timed: prompt to PIL pictures in memory, conditioning not cached.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from modules.core import device  # noqa: E402
from modules.core.store import Store  # noqa: E402
from modules.generate import run  # noqa: E402
from modules.generate.moments import Moments  # noqa: E402
from modules.generate.request import Txt2Img  # noqa: E402
from modules.generate.studio import Studio  # noqa: E402
from modules.imaging.inputs import Inputs  # noqa: E402
from modules.loading.faces import FaceRestorers  # noqa: E402
from modules.loading.library import Library  # noqa: E402
from modules.loading.loader import Model  # noqa: E402
from modules.loading.shelf import Shelf  # noqa: E402
from modules.loading.tiny import TinyFiles  # noqa: E402
from modules.loading.upscale.catalog import Upscalers  # noqa: E402
from modules.networks.apply import Networks  # noqa: E402
from modules.prompts.styles import StyleBook  # noqa: E402
from modules.samplers.catalog import builtin  # noqa: E402
from modules.settings import builtin as settings_table  # noqa: E402
from modules.settings.options import Snapshot  # noqa: E402

TINY = ROOT / "tests" / "reference" / "models" / "Stable-diffusion" / "tiny-sd1.safetensors"
PROMPT, NEGATIVE = "a photo of a cat in a garden", "blurry, lowres"


class Quiet:
    """Nobody watches, nobody stops."""

    interrupted = skipped = False

    def __getattr__(self, name: str) -> Callable[..., bool]:
        return lambda *args, **kwargs: False


class Memory:
    """Keeps pictures instead of writing them, as a pipeline does."""

    def __init__(self) -> None:
        self.pictures: list[Any] = []

    def add(self, plan: Any, index: int, image: Any, extra: Any, *, complete: bool) -> None:
        self.pictures.append(image)

    def close(self, plan: Any) -> dict[str, Any]:
        return {}


def main() -> None:
    asked = arguments()
    studio, model, options = easel(asked)
    pipeline = plain(model, asked.sampler)
    contenders = {
        "Easel": lambda: ours(studio, model, options, asked),
        "diffusers": lambda: theirs(pipeline, model, asked),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(2):  # warm up
        pictures = {name: draw() for name, draw in contenders.items()}
    for _ in range(asked.rounds):
        for name, draw in contenders.items():
            started = time.perf_counter()
            draw()
            times[name].append(time.perf_counter() - started)
    report(asked, model, times, pictures)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=TINY)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", default="256x256")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sampler", choices=("Euler", "DPM++ 2M"), default="DPM++ 2M")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    asked.width, asked.height = map(int, asked.size.split("x"))
    return asked


def easel(asked: argparse.Namespace) -> tuple[Studio, Model, Snapshot]:
    """The engine with the checkpoint loaded."""
    folder = Path(tempfile.mkdtemp())
    store = Store(folder / "bench.sqlite")
    library = Library([], store, files=[asked.checkpoint])
    placement = device.choose(use_cpu=["all"] if asked.device == "cpu" else [])
    studio = Studio(
        library=library,
        catalog=builtin(),
        shelf=Shelf(placement),
        moments=Moments(),
        networks=Networks(loras=(), hypernetworks=(), embeddings=(), store=store),
        styles=StyleBook(),
        tiny=TinyFiles(folder / "VAE-taesd"),
        upscalers=Upscalers({}, lambda part: placement),
        faces=FaceRestorers({}, lambda part: placement),
        inputs=Inputs(folder / "inputs"),
        version="benchmark",
    )
    options = Snapshot(settings_table.registry()).overlay({"sd_model_checkpoint": asked.checkpoint.name})
    return studio, studio.shelf.get(library.find(asked.checkpoint.name)), options


def plain(model: Model, sampler: str) -> Any:
    """A stock pipeline: diffusers' own modules with the same weights."""
    from diffusers import (
        AutoencoderKL,
        DPMSolverMultistepScheduler,
        EulerDiscreteScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )

    schedule: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    schedule["use_karras_sigmas"] = sampler != "Euler"
    scheduler = (EulerDiscreteScheduler if sampler == "Euler" else DPMSolverMultistepScheduler)(**schedule)
    with contextlib.redirect_stderr(io.StringIO()):
        pipeline = StableDiffusionPipeline(
            vae=stock(AutoencoderKL, model.vae.network),
            text_encoder=model.text.towers["text"],
            tokenizer=tokenizer(),
            unet=stock(UNet2DConditionModel, model.unet),
            scheduler=scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stock(kind: Any, ours: Any) -> Any:
    """diffusers' module with our weights, as `from_pretrained` would leave it."""
    module = kind.from_config(ours.config)
    module.load_state_dict({name: tensor.contiguous() for name, tensor in ours.state_dict().items()})
    return module.to(device=ours.device, dtype=ours.dtype).eval()


def tokenizer() -> Any:
    """transformers' CLIP tokenizer, made from the table that Easel ships."""
    from transformers import CLIPTokenizer

    from modules.prompts import tokens

    merges = tokens._merges()
    return CLIPTokenizer(vocab=tokens._vocabulary(merges), merges=merges, model_max_length=77)


def ours(studio: Studio, model: Model, options: Snapshot, asked: argparse.Namespace) -> list[Any]:
    model.text.forget()
    album = Memory()
    request = Txt2Img(
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        seed=1,
        steps=asked.steps,
        width=asked.width,
        height=asked.height,
        batch_size=asked.batch,
        sampler_name=asked.sampler,
    )
    run.make(studio, request, options, Quiet(), album)  # type: ignore[arg-type]
    return album.pictures


def theirs(pipeline: Any, model: Model, asked: argparse.Namespace) -> list[Any]:
    generator = torch.Generator(model.placement.device).manual_seed(1)
    answer = pipeline(
        PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=asked.steps,
        guidance_scale=7.0,
        width=asked.width,
        height=asked.height,
        num_images_per_prompt=asked.batch,
        generator=generator,
    )
    return list(answer.images)


def report(asked: argparse.Namespace, model: Model, times: dict[str, list[float]], pictures: dict[str, Any]) -> None:
    print(f"{asked.checkpoint.name}, {asked.size}, {asked.steps} steps of {asked.sampler}, batch {asked.batch},")
    print(f"{model.placement.device} {model.placement.dtype}, torch {torch.__version__}, {asked.rounds} rounds")
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        shown = pictures[name][0].size
        print(f"{name:10} median {medians[name]:.3f} s, best {min(values):.3f} s, {len(pictures[name])} of {shown}")
    print(f"ratio of medians, Easel / diffusers: {medians['Easel'] / medians['diffusers']:.3f}")


if __name__ == "__main__":
    main()
