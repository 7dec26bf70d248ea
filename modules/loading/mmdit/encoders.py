"""Text encoders and VAE of a transformer: from the checkpoint itself, or from the files beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modules.core.errors import EaselError
from modules.loading import companions, ldm, packed, parts, vae_file
from modules.loading.configs import clip as clip_config
from modules.loading.family import VAE, TextTower
from modules.loading.header import Header
from modules.loading.mmdit import causal, quantized, t5, tokenizer
from modules.loading.mmdit.causal import QUERY, Decoder, Reader
from modules.loading.mmdit.tokenizer import Kind
from modules.loading.parts import Source

CLIP_MARK = "text_model.embeddings.token_embedding.weight"
VAE_MARK = "decoder.conv_in.weight"
_VAE_LAYOUTS = ("decoder.mid.block_1.conv1.weight", "decoder.mid_block.resnets.0.conv1.weight")
"""Latent diffusion's names, and diffusers'."""
_INSIDE = "text_encoders."
_VAES = (VAE, "vae.")
_L = TextTower(prefix="text_encoders.clip_l.", layout="clip", activation="quick_gelu")
_G = TextTower(prefix="text_encoders.clip_g.", layout="clip", activation="gelu")
_WIDTHS = {768: "l", 1280: "g"}
"""Of a released CLIP tower: which of Stable Diffusion 3's it is. Others are told apart by the file's name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipPair:
    """CLIP-L and OpenCLIP bigG (with `text_projection`), or what there is of them."""

    l: nn.Module | None  # noqa: E741 (its name)
    g: nn.Module | None


def clip_pair(source: Source) -> ClipPair:
    """Both CLIP towers of Stable Diffusion 3, None for one that is nowhere."""
    return ClipPair(l=_clip(source, _L, "l"), g=_clip(source, _G, "g"))


def clip_l(source: Source, width: int) -> nn.Module:
    """The CLIP-L tower that a model asks for by its width. Raises EaselError saying what to put where."""
    found = _clip(source, _L, "l", width)
    if found is None:
        raise EaselError(lacking(source, "the text encoder CLIP-L", "clip_l.safetensors", "text_encoder"))
    return found


def t5_now(source: Source, width: int) -> t5.T5Encoder:
    """The T5 encoder. Raises EaselError saying what to put where."""
    weights = _t5_weights(source, width)
    if weights is None:
        raise EaselError(lacking(source, "the text encoder T5-XXL", "t5xxl_fp16.safetensors", "text_encoder"))
    return _t5(source, weights, source.home)


def t5_later(source: Source, width: int) -> t5.Later | None:
    """The T5 encoder once it is asked for; None where there is none."""
    weights = _t5_weights(source, width)
    return None if weights is None else t5.Later(lambda: _t5(source, weights, source.placement.device))


def autoencoder(source: Source, avoid: str) -> nn.Module:
    """The VAE. avoid: a word in the names of files that are another family's, alike in every shape.

    Raises EaselError saying what to put where.
    """
    weights = {VAE + name: tensor for name, tensor in vae_weights(source, avoid).items()}
    return ldm.autoencoder(dataclasses.replace(source, weights=weights))


def vae_weights(source: Source, avoid: str) -> Mapping[str, Tensor]:
    """The VAE's tensors, under the names that a checkpoint has behind its prefix; see `autoencoder`."""
    channels = source.family.latent.channels
    for prefix in _VAES:
        if prefix + VAE_MARK in source.weights:
            return source.below(prefix)

    def fits(header: Header, prefix: str) -> bool:
        named = header.path.stem.casefold()
        known = any(prefix + mark in header.tensors for mark in _VAE_LAYOUTS)
        return known and avoid not in named and header.shape(prefix + VAE_MARK)[1] == channels

    found = companions.search(source.companions.vae, source.header.path, VAE_MARK, fits)
    if found is None:
        raise EaselError(lacking(source, f"a VAE with {channels} channels", "a .safetensors file", "VAE"))
    return vae_file.named(found.weights())


def lacking(source: Source, part: str, file: str, folder: str) -> str:
    """What is missing, what to do."""
    return (
        f"{source.header.path.name}: {source.family.title} needs {part}, which is neither in the file nor beside it. "
        f"Put it ({file}) into models/{folder}."
    )


def _clip(source: Source, facts: TextTower, which: str, width: int = 0) -> nn.Module | None:
    weights = _below(source.weights, _INSIDE + f"clip_{which}.", CLIP_MARK)
    if weights is None:

        def fits(header: Header, prefix: str) -> bool:
            size = header.shape(prefix + CLIP_MARK)[1]
            return _which(header.path, size) == which and (not width or size == width)

        found = companions.search(source.companions.text, source.header.path, CLIP_MARK, fits)
        weights = None if found is None else found.weights()
    return None if weights is None else _tower(source, facts, weights)


def _which(path: Path, width: int) -> str:
    return _WIDTHS.get(width) or ("g" if "clip_g" in path.stem.casefold().replace("-", "_") else "l")


def _tower(source: Source, facts: TextTower, weights: Mapping[str, Tensor]) -> nn.Module:
    """A CLIP text model; its `text_projection` is a layer without bias, or None where it is CLIP-L."""
    from transformers import CLIPTextConfig, CLIPTextModel

    named = {name.removeprefix("text_model."): tensor for name, tensor in weights.items()
             if name.startswith("text_model.") and not name.endswith("position_ids")}  # fmt: skip
    with torch.device("meta"):
        model = CLIPTextModel(CLIPTextConfig(**clip_config.config(parts.shapes(named), facts)))
    places = model.embeddings.position_ids.shape[-1]
    model.embeddings.position_ids = torch.arange(places, device=source.home).expand(1, -1)
    made = parts.filled(model, named, source.home, source.placement.dtype)
    projection: nn.Module | None = None
    if facts is _G:
        matrix = weights["text_projection.weight"]
        projection = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False, device="meta")
        parts.filled(projection, {"weight": matrix}, source.home, source.placement.dtype)
    made.add_module("text_projection", projection)
    return made


def _t5_weights(source: Source, width: int) -> Mapping[str, Tensor] | None:
    inside = _below(source.weights, _INSIDE + "t5xxl.", t5.MARK)
    if inside is not None:
        return inside

    def fits(header: Header, prefix: str) -> bool:
        name = prefix + "encoder.block.0.layer.0.SelfAttention.q.weight"
        return name in header.tensors and header.shape(name)[1] == width

    found = companions.search(source.companions.text, source.header.path, t5.MARK, fits)
    return None if found is None else found.weights(*tokenizer.INSIDE)


def _t5(source: Source, weights: Mapping[str, Tensor], device: torch.device) -> t5.T5Encoder:
    words = _words(source, tokenizer.T5, weights, "shared.weight", "encoder.embed_tokens.weight")
    dtype = source.placement.dtype
    made = t5.build(quantized.plain(weights, dtype, source.header.path.name), words, device=device, dtype=dtype)
    if not source.keep_packed:
        packed.unpack(made)
    return made


def _below(weights: Mapping[str, Tensor], beginning: str, mark: str) -> dict[str, Tensor] | None:
    """Tensors of a part inside the checkpoint, named from the mark's first word on."""
    prefix = next(companions.prefixes((name for name in weights if name.startswith(beginning)), mark), None)
    if prefix is None:
        return None
    return {name[len(prefix) :]: tensor for name, tensor in weights.items() if name.startswith(prefix)}


def decoder(source: Source, reader: Reader, width: int, *, normed: bool = True) -> Decoder:
    """The language model of this kind and width, with its tokenizer; normed: see `causal.build`.

    Raises EaselError saying what to put where.
    """
    mark = reader.marks[0]

    def fits(header: Header, prefix: str) -> bool:
        return _reads(reader, header.tensors, prefix) and header.shape(prefix + QUERY)[1] == width

    weights: Mapping[str, Tensor] | None = None
    inside = [name for name in source.weights if name.startswith(_INSIDE)]
    prefix = next((each for each in companions.prefixes(inside, mark) if _reads(reader, source.weights, each)), None)
    if prefix is not None:
        weights = source.below(prefix)
    elif found := companions.search(source.companions.text, source.header.path, mark, fits):
        weights = found.weights(*tokenizer.INSIDE)
    if weights is None:
        raise EaselError(lacking(source, f"the text encoder {reader.title}", reader.file, "text_encoder"))
    words = _words(source, reader.tokenizer, weights, "embed_tokens.weight")
    dtype = source.placement.dtype
    weights = quantized.plain(weights, dtype, source.header.path.name)
    return causal.build(reader, weights, words, device=source.home, dtype=dtype, normed=normed)


def _words(source: Source, kind: Kind, weights: Mapping[str, Tensor], *tables: str) -> Any:
    """The tokenizer of an encoder; tables: names of its embedding."""
    most = next((len(weights[name]) for name in tables if name in weights), 0)
    inside = {name: tensor for name, tensor in source.weights.items() if name.startswith(_INSIDE)} | dict(weights)
    return tokenizer.find(kind, source.companions.text, source.header.path, inside, most=most)


def _reads(reader: Reader, names: Container[str], prefix: str) -> bool:
    """Whether the tensors behind a prefix are of this kind."""
    has, lacks = (prefix + QUERY, *(prefix + mark for mark in reader.marks)), (prefix + mark for mark in reader.absent)
    return all(name in names for name in has) and not any(name in names for name in lacks)
