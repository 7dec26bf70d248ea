"""Image to image: from a request's pictures to where sampling begins, and from decoded pixels to finished pictures.

`run` calls `begun` once a job and `finished` for each picture.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as nn_functional

from modules.core.noise import PictureNoise, Seeds
from modules.generate import conditioning, inpaint, moments, pixels
from modules.generate.inpaint import Arranged
from modules.generate.plan import Plan
from modules.generate.request import Img2Img
from modules.generate.sampling import NOWHERE, Beginning
from modules.generate.save import Album
from modules.generate.studio import Studio
from modules.imaging import colour
from modules.imaging.overlay import Overlay
from modules.imaging.resize import Mode, Upscale
from modules.loading.families import DEPTH
from modules.loading.loader import Model
from modules.loading.vae import of_image

FLAT = (
    "This checkpoint is shown the depth of a picture. Text alone has none: it was shown a flat one; img2img shows it."
)
"""A remark on pictures made of text alone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """Where every batch of a job begins. overlays, colours: one for each picture of a batch, or none; colours: pictures
    whose colours the result takes on.
    """

    begin: Beginning = NOWHERE
    overlays: tuple[Overlay, ...] = ()
    colours: tuple[Image.Image, ...] = ()

    def overlay(self, place: int) -> Overlay | None:
        """place: which picture of its batch."""
        return self.overlays[place % len(self.overlays)] if self.overlays else None


class Finished(NamedTuple):
    """A picture as it is saved. sampled: the same before the untouched rest was laid over it; overlay: that rest."""

    image: Image.Image
    sampled: Image.Image
    overlay: Overlay | None


def begun(
    studio: Studio, model: Model, work: Plan, keep: Callable[[Plan, Image.Image, str], None]
) -> tuple[Plan, Start]:
    """The plan with what the pictures add to it, and where to begin. keep: saves a given picture under a name.

    Raises NotFound for a picture that is gone, BadRequest, EaselError.
    """
    work = dataclasses.replace(work, shows_mask=conditioning.is_inpainting(model))
    request = work.request
    if isinstance(request, Img2Img) and conditioning.is_editing(model):
        work = _editing(work, request.image_cfg_scale)
    if not isinstance(request, Img2Img):
        if model.variant == DEPTH:
            work = dataclasses.replace(work, notes=(*work.notes, FLAT))
        return work, Start(begin=Beginning(concat=conditioning.blank(model, work, request.batch_size)))
    arranged, hash = _arranged(studio, work, request, keep)
    opening = {**work.opening, **arranged.facts, **pixels.encoder_note(work)}
    work = dataclasses.replace(work, opening=opening, picture_hash=hash, notes=(*work.notes, *arranged.notes))
    latents, mask = _latents(studio, model, work, request, arranged), _mask(model, work, request, arranged)
    if mask is not None and request.inpainting_fill in (inpaint.NOISE, inpaint.NOTHING):
        rest = _noise(model, work) if request.inpainting_fill == inpaint.NOISE else torch.zeros_like(latents)
        latents = latents * (1 - mask) + rest * mask
    concat = [
        conditioning.shown(studio, model, work, picture, arranged.shown, rounded=request.mask_round)
        for picture in (arranged.pictures if model.variant else ())
    ]
    matched = work.options["img2img_color_correction"]
    begin = Beginning(latents=latents, mask=mask, concat=_batched([each for each in concat if each is not None], work))
    return work, Start(begin=begin, overlays=arranged.overlays, colours=arranged.pictures if matched else ())


def _editing(work: Plan, scale: float | None) -> Plan:
    """The plan of a model that edits pictures: `edited` needs the guess without the prompt at every call."""
    guidance = work.guidance if scale in (None, 1) else dataclasses.replace(work.guidance, both=True, min_uncond=0.0)
    return dataclasses.replace(work, image_scale=scale, guidance=guidance)


def finished(
    studio: Studio, work: Plan, start: Start, number: int, image: Image.Image, extra: Mapping[str, Any], album: Album
) -> Finished:
    """The finished form of picture `number`; extra: what the infotext says of it."""
    place = number % work.request.batch_size
    overlay = start.overlay(place)
    event = moments.Overlaying(plan=work, index=number, overlay=overlay if work.options["overlay_inpaint"] else None)
    if start.overlays:
        studio.moments.overlaying.fire(event)
    over = event.overlay
    if start.colours:
        if work.options["save_images_before_color_correction"]:
            before = over.laid_over(image) if over else image
            album.aside(work, number, before, extra, "-before-color-correction")
        image = colour.corrected(image, start.colours[place % len(start.colours)])
    composited = moments.Composited(plan=work, index=number, image=over.laid_over(image) if over else image)
    studio.moments.composited.fire(composited)
    return Finished(composited.image, over.spread(image) if over else image, overlay)


def add_masks(work: Plan, number: int, done: Finished, extra: Mapping[str, Any], album: Album) -> None:
    """Put what was inpainted into the album, as far as the options want it."""
    if done.overlay is None:
        return
    options = work.options
    shown, saved = options["return_mask"], options["save_mask"]
    if shown or saved:
        mask = done.overlay.mask.convert("RGB")
        album.add_mask(work, number, mask, extra, suffix="-mask", shown=shown, saved=saved)
    shown, saved = options["return_mask_composite"], options["save_mask_composite"]
    if shown or saved:
        part = done.overlay.cut_out(done.sampled)
        album.add_mask(work, number, part, extra, suffix="-mask-composite", shown=shown, saved=saved)


def _arranged(
    studio: Studio, work: Plan, request: Img2Img, keep: Callable[[Plan, Image.Image, str], None]
) -> tuple[Arranged, str | None]:
    """The pictures as they are worked on, and the hash that the last one is saved under, if they are saved."""
    pictures = [studio.inputs.open(name, field="init_images") for name in request.init_images]
    hash = None
    for picture in pictures if work.options["save_init_img"] else ():
        hash = hashlib.md5(picture.tobytes(), usedforsecurity=False).hexdigest()
        keep(work, picture, hash)
    upscale = _upscale(studio, work)
    arranged = inpaint.arranged(
        request,
        pictures,
        mask=_opened(studio, request.mask, "mask"),
        latent_mask=_opened(studio, request.latent_mask, "latent_mask"),
        size=_size_at_work(work, request),
        colour=work.options["img2img_background_color"],
        upscale=upscale,
    )
    return arranged, hash


def _size_at_work(work: Plan, request: Img2Img) -> tuple[int, int]:
    """(width, height) that pictures are brought to. Sides that are no whole latent pixels stay as they are asked for,
    and the encoder leaves out what is too much, as in A1111; not where the result lies under the rest of the picture.
    """
    whole = request.mask is not None and not request.inpaint_full_res
    return (work.width, work.height) if whole else (request.width, request.height)


def _opened(studio: Studio, name: str | None, field: str) -> Image.Image | None:
    return None if name is None else studio.inputs.open(name, field=field)


def _upscale(studio: Studio, work: Plan) -> Upscale | None:
    """What the option `upscaler_for_img2img` names."""
    name = work.options["upscaler_for_img2img"]
    if name in (None, "", "None"):
        return None

    def upscale(image: Image.Image, factor: float) -> Image.Image:
        return studio.upscalers.upscale(image, factor, name, work.options)

    return upscale


def _latents(studio: Studio, model: Model, work: Plan, request: Img2Img, arranged: Arranged) -> Tensor:
    """(B, C, H, W), each picture encoded once."""
    model.residency.use("vae")
    encode, facts = pixels.encoder(studio, model, work), model.family.latent
    latents = [encode(of_image(picture)).unsqueeze(0).to(model.placement.device) for picture in arranged.pictures]
    size = (work.height // facts.factor, work.width // facts.factor)
    if request.resize_mode == Mode.LATENT:
        latents = [nn_functional.interpolate(latent, size=size, mode="bilinear") for latent in latents]
    latents = [latent[..., : size[0], : size[1]] for latent in latents]  # a tiny encoder may round up
    together = _batched(latents, work)
    assert together is not None
    return together


def _batched(each: list[Tensor], work: Plan) -> Tensor | None:
    """One for the whole batch, or one for each of its pictures -> (B, …)."""
    if not each:
        return None
    return each[0].expand(work.request.batch_size, -1, -1, -1) if len(each) == 1 else torch.cat(each)


def _mask(model: Model, work: Plan, request: Img2Img, arranged: Arranged) -> Tensor | None:
    """(1, 1, H, W): 1 = may change."""
    if arranged.mask is None:
        return None
    factor = model.family.latent.factor
    small = arranged.mask.resize((work.width // factor, work.height // factor))
    levels = of_image(small)[:1].unsqueeze(0).to(model.placement.device)
    return levels.round() if request.mask_round else levels


def _noise(model: Model, work: Plan) -> Tensor:
    """What masked latents begin as: noise (B, C, H, W) by the first batch's seeds, the same for all, as in A1111."""
    facts, size = model.family.latent, work.request.batch_size
    seeds = Seeds(source=work.options["randn_source"], seeds=work.seeds[:size])
    shape = (facts.channels, work.height // facts.factor, work.width // facts.factor)
    return PictureNoise(seeds, shape, model.placement.device).first()
