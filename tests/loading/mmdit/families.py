"""The files of a tiny model of every transformer family, as they are released and where they belong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from tests.loading.mmdit import layouts, words

Weights = Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """family: the row's id; weights: by path below models/; others: what writes the file."""

    family: str
    weights: Mapping[str, Weights]
    others: Mapping[str, Callable[[Path], object]] = dataclasses.field(default_factory=dict)


_T5_WORDS = {"text_encoder/t5/tokenizer.json": words.t5_json}
_MODEL = "Stable-diffusion/tiny.safetensors"


def sd3_whole(*, normed: bool = False, dual: int = 0) -> Files:
    """All in one file, as "sd3_medium_incl_clips_t5xxlfp16" is."""
    parts = {
        "model.diffusion_model.": layouts.sd3(normed=normed, dual=dual),
        "first_stage_model.": layouts.vae16(),
        **layouts.text_parts(),
    }
    return Files(family="sd3", weights={_MODEL: layouts.filled(parts)}, others=_T5_WORDS)


def sd3_apart() -> Files:
    """The transformer alone, two encoders and the VAE beside it."""
    return Files(
        family="sd3",
        weights={
            _MODEL: layouts.filled({"model.diffusion_model.": layouts.sd3(normed=True)}),
            "text_encoder/clip_l.safetensors": layouts.filled(layouts.clip_l()),
            "text_encoder/clip_g.safetensors": layouts.filled(layouts.clip_g()),
            "VAE/sd3_vae.safetensors": layouts.filled({"": layouts.vae16()}),
        },
    )


def flux_apart(*, guided: bool = True) -> Files:
    """As Flux is released: the transformer without prefix, encoders and "ae" beside it."""
    return Files(
        family="flux",
        weights={_MODEL: layouts.filled({"": layouts.flux(guided=guided)}), **_flux_parts()},
        others=_T5_WORDS,
    )


def chroma_apart() -> Files:
    """The transformer without prefix; T5 and Flux's VAE beside it."""
    beside = {place: weights for place, weights in _flux_parts().items() if "clip" not in place}
    return Files(family="chroma", weights={_MODEL: layouts.filled({"": layouts.chroma()}), **beside}, others=_T5_WORDS)


def lumina_apart() -> Files:
    return Files(
        family="lumina2",
        weights={
            _MODEL: layouts.filled({"model.diffusion_model.": layouts.lumina2()}),
            "text_encoder/gemma_2_2b.safetensors": layouts.filled({"model.": layouts.gemma2()}),
            "VAE/ae.safetensors": layouts.filled({"": layouts.vae16()}),
        },
        others={"text_encoder/tokenizer.model": words.gemma_model},
    )


def z_apart() -> Files:
    return Files(
        family="z-image",
        weights={
            _MODEL: layouts.filled({"": layouts.z_image()}),
            "text_encoder/qwen_3_4b.safetensors": layouts.filled({"model.": layouts.qwen3()}),
            "VAE/ae.safetensors": layouts.filled({"": layouts.vae16()}),
        },
        others={"text_encoder/qwen/tokenizer.json": words.qwen_json},
    )


def flux2_apart(*, guided: bool = True) -> Files:
    """dev (guided) with Mistral, klein with Qwen 3."""
    encoder = (
        ("mistral", layouts.mistral(), words.mistral_json) if guided else ("qwen_3", layouts.qwen3(), words.qwen_json)
    )
    name, shapes, vocabulary = encoder
    return Files(
        family="flux2",
        weights={
            _MODEL: layouts.filled({"": layouts.flux2(guided=guided)}),
            f"text_encoder/{name}.safetensors": layouts.filled({"model.": shapes}),
            "VAE/flux2-vae.safetensors": layouts.filled({"": layouts.vae32()}),
        },
        others={"text_encoder/tokenizer.json": vocabulary},
    )


def qwen_apart() -> Files:
    return Files(
        family="qwen-image",
        weights={
            _MODEL: layouts.filled({"model.diffusion_model.": layouts.qwen_image()}),
            "text_encoder/qwen_2.5_vl_7b.safetensors": layouts.filled({"model.": layouts.qwen25()}),
            "VAE/qwen_image_vae.safetensors": layouts.filled({"": layouts.video_vae()}),
        },
        others={"text_encoder/qwen/tokenizer.json": words.qwen_json},
    )


def flux_whole() -> Files:
    """One file, as other programs save it."""
    parts = {
        "model.diffusion_model.": layouts.flux(),
        "vae.": layouts.vae16(),
        **layouts.text_parts(g=False),
    }
    return Files(family="flux", weights={_MODEL: layouts.filled(parts)}, others=_T5_WORDS)


def joined(apart: Files) -> Weights:
    """The same tensors as one checkpoint."""
    beginnings = {
        _MODEL: "model.diffusion_model.",
        "text_encoder/clip_l.safetensors": "text_encoders.clip_l.transformer.",
        "text_encoder/t5xxl_fp16.safetensors": "text_encoders.t5xxl.transformer.",
        "VAE/ae.safetensors": "vae.",
    }
    return {
        beginnings[place] + name: tensor for place, weights in apart.weights.items() for name, tensor in weights.items()
    }


def _flux_parts() -> dict[str, Weights]:
    return {
        "text_encoder/clip_l.safetensors": layouts.filled(layouts.clip_l()),
        "text_encoder/t5xxl_fp16.safetensors": layouts.filled({"": layouts.t5(layouts.T5_WIDTH, 2)}),
        "VAE/ae.safetensors": layouts.filled({"": layouts.vae16()}),
    }


FAMILIES: Mapping[str, Callable[[], Files]] = {
    "sd3 whole": sd3_whole,
    "sd3.5 whole": lambda: sd3_whole(normed=True, dual=2),
    "sd3 apart": sd3_apart,
    "flux dev apart": flux_apart,
    "flux schnell apart": lambda: flux_apart(guided=False),
    "flux whole": flux_whole,
    "chroma apart": chroma_apart,
    "lumina apart": lumina_apart,
    "flux2 dev apart": flux2_apart,
    "flux2 klein apart": lambda: flux2_apart(guided=False),
    "qwen-image apart": qwen_apart,
    "z-image apart": z_apart,
}
"""What is made, loaded and sampled by tests/generate/test_transformers.py."""
