"""What a request's pictures and mask are made into before any model sees them: sizes, blur, colours, the overlay.

Pictures only, no tensors; `img2img` calls `arranged` and encodes what comes of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from modules.core.errors import BadRequest
from modules.generate.request import Img2Img
from modules.imaging import masks, overlay
from modules.imaging.masks import Box
from modules.imaging.overlay import Overlay
from modules.imaging.resize import Mode, Upscale, mode, resize

CONTENTS = {0: "fill", 1: None, 2: "latent noise", 3: "latent nothing"}
"""inpainting_fill -> what the infotext calls it; 1, the picture itself, goes without saying."""
FILL, PICTURE, NOISE, NOTHING = CONTENTS
BLANK = 'Nothing of the mask is white, so "only masked" has nothing to work on: the whole picture was worked on.'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arranged:
    """pictures: RGB, what the latents are made of; shown: mode L, what an inpainting model is told may change, and
    mask: what may change in the latents (None: everything); overlays: one a picture, where there is a mask. facts: for
    the infotext, in A1111's order; notes: for the user.
    """

    pictures: tuple[Image.Image, ...]
    shown: Image.Image | None
    mask: Image.Image | None
    overlays: tuple[Overlay, ...]
    facts: Mapping[str, Any]
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Masked:
    """The mask where the picture is as it came (blurred), where it is worked on, and which part of it that is."""

    whole: Image.Image
    at_work: Image.Image
    place: Box | None


def check(request: Img2Img) -> None:
    """What no later part could make sense of. Raises BadRequest naming the field."""
    if not request.init_images:
        raise BadRequest("init_images: image to image needs a picture to start from.", field="init_images")
    count, room = len(request.init_images), request.batch_size
    if count > max(room, 1):
        wrong = f"init_images: {count} pictures do not fit into a batch of {room}; raise batch_size or send one."
        raise BadRequest(wrong, field="init_images")
    strength = request.denoising_strength
    if strength is None or not 0 <= strength <= 1:
        raise BadRequest(f"denoising_strength must be 0 to 1, not {strength}.", field="denoising_strength")
    mode(request.resize_mode)
    if request.inpainting_fill not in CONTENTS:
        known = "0 (fill), 1 (original), 2 (latent noise) or 3 (latent nothing)"
        wrong = f"inpainting_fill must be {known}, not {request.inpainting_fill}."
        raise BadRequest(wrong, field="inpainting_fill")
    for field in ("mask_blur_x", "mask_blur_y", "inpaint_full_res_padding"):
        if getattr(request, field) < 0:
            raise BadRequest(f"{field} must be at least 0, not {getattr(request, field)}.", field=field)


def arranged(
    request: Img2Img,
    pictures: Sequence[Image.Image],
    *,
    mask: Image.Image | None,
    latent_mask: Image.Image | None,
    size: tuple[int, int],
    colour: str,
    upscale: Upscale | None,
) -> Arranged:
    """Pictures (any mode) and masks as a request wants them at size (width, height). colour: behind transparency;
    upscale: see `imaging.resize`.
    """
    flat = [overlay.flattened(picture, colour) for picture in pictures]
    masked, facts = (None, {}) if mask is None else _masked(request, mask, flat[0].size, size)
    facts = {"Denoising strength": request.denoising_strength, **facts}
    how = mode(request.resize_mode)
    latent = None
    if masked is not None:
        latent = masked.at_work if latent_mask is None else latent_mask.convert("L")
        content = CONTENTS[request.inpainting_fill]
        facts |= {"Masked content": content} if content else {}
    made = [_worked(request, picture, masked, latent, how, size, upscale) for picture in flat]
    return Arranged(
        pictures=tuple(picture for picture, _ in made),
        shown=masked.at_work if masked else None,
        mask=latent,
        overlays=tuple(over for _, over in made if over is not None),
        facts=facts,
        notes=(BLANK,) if mask is not None and masked is None else (),
    )


def _masked(
    request: Img2Img, mask: Image.Image, picture: tuple[int, int], size: tuple[int, int]
) -> tuple[_Masked | None, dict[str, Any]]:
    """(the mask, None if only its white part is wanted and there is none; facts for the infotext)."""
    facts: dict[str, Any] = {}
    mask = masks.binary(mask, rounded=request.mask_round)
    if request.inpainting_mask_invert:
        mask = masks.inverted(mask)
        facts["Mask mode"] = "Inpaint not masked"
    mask = masks.blurred(mask, request.mask_blur_x, request.mask_blur_y)
    if request.mask_blur_x > 0 or request.mask_blur_y > 0:
        facts["Mask blur"] = request.mask_blur
    if not request.inpaint_full_res:
        at_work = resize(mask, size, mode(request.resize_mode))
        return _Masked(at_work.point([min(2 * level, 255) for level in range(256)]), at_work, None), facts
    mask = resize(mask, picture)
    box = masks.region(mask, request.inpaint_full_res_padding)
    if box is None:
        return None, facts
    place = masks.expanded(box, size, mask.size)
    facts |= {"Inpaint area": "Only masked", "Masked area padding": request.inpaint_full_res_padding}
    return _Masked(mask, resize(mask.crop(place), size, Mode.FILL), place), facts


def _worked(
    request: Img2Img,
    picture: Image.Image,
    masked: _Masked | None,
    latent_mask: Image.Image | None,
    how: Mode,
    size: tuple[int, int],
    upscale: Upscale | None,
) -> tuple[Image.Image, Overlay | None]:
    """(the RGB picture that is encoded, what will lie over the result). With `Mode.LATENT` the first keeps its size."""
    over: Overlay | None
    if masked is not None and masked.place is not None:
        whole = resize(masked.whole, picture.size, how)
        over = overlay.around(picture, whole, masked.place, upscale=upscale)
        picture = resize(picture.crop(masked.place), size, Mode.FILL, upscale=upscale)
    else:
        sized = resize(picture, size, how, upscale=upscale)
        over = overlay.around(sized, masked.whole) if masked is not None else None
        picture = picture if how is Mode.LATENT else sized
    if latent_mask is not None and request.inpainting_fill != PICTURE:
        picture = masks.filled(picture, resize(latent_mask, picture.size))
    return picture, over
