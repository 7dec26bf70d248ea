"""From pictures and a mask to what is worked on: sizes, facts for the infotext, and what lies over the result."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.core.errors import BadRequest
from modules.generate import inpaint
from modules.generate.inpaint import Arranged
from modules.generate.request import Img2Img

SIZE = (64, 48)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8), "RGB")


def spot(width: int, height: int) -> Image.Image:
    mask = Image.new("L", (width, height))
    mask.paste(255, (width // 3, height // 3, width // 3 + max(1, width // 4), height // 3 + max(1, height // 4)))
    return mask


def arranged(request: Img2Img, picture: Image.Image, mask: Image.Image | None = None, **more: object) -> Arranged:
    given = {"latent_mask": None, "size": SIZE, "colour": "#ffffff", "upscale": None, **more}
    return inpaint.arranged(request, [picture], mask=mask, **given)


SIDES = st.integers(1, 150)


@settings(max_examples=80, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 3), st.integers(0, 3), st.booleans(), st.integers(0, 40))
def test_any_picture_with_any_mask_fits(
    width: int, height: int, mask_width: int, mask_height: int, mode: int, fill: int, full: bool, padding: int
) -> None:
    request = Img2Img(resize_mode=mode, inpainting_fill=fill, inpaint_full_res=full, inpaint_full_res_padding=padding)
    result = arranged(request, noise(width, height), spot(mask_width, mask_height))
    latent = mode == 3 and not (full and result.overlays and result.overlays[0].place)
    assert result.pictures[0].size == ((width, height) if latent else SIZE)
    for over in result.overlays:
        finished = over.laid_over(Image.new("RGB", SIZE))
        assert finished.size == (SIZE if over.place is None else (width, height)) == over.mask.size
    if result.mask is not None:
        assert result.mask.size == SIZE


def test_without_a_mask_a_picture_is_only_resized() -> None:
    result = arranged(Img2Img(denoising_strength=0.4), noise(*SIZE))
    assert result.pictures[0].tobytes() == noise(*SIZE).tobytes()
    assert (result.mask, result.shown, result.overlays, result.facts) == (None, None, (), {"Denoising strength": 0.4})


def test_facts_stand_in_a1111s_order() -> None:
    request = Img2Img(inpainting_mask_invert=1, inpaint_full_res_padding=8, inpainting_fill=2)
    assert list(arranged(request, noise(90, 90), spot(90, 90)).facts.items()) == [
        ("Denoising strength", 0.75),
        ("Mask mode", "Inpaint not masked"),
        ("Mask blur", 4),
        ("Inpaint area", "Only masked"),
        ("Masked area padding", 8),
        ("Masked content", "latent noise"),
    ]
    request = Img2Img(mask_blur_x=8, mask_blur_y=2, inpaint_full_res=False, inpainting_fill=1)
    facts = arranged(request, noise(90, 90), spot(90, 90)).facts
    assert facts == {"Denoising strength": 0.75, "Mask blur": None}
    assert "Mask blur" not in arranged(Img2Img(mask_blur_x=0, mask_blur_y=0), noise(9, 9), spot(9, 9)).facts


def test_a_black_mask_for_only_masked_is_said_so() -> None:
    result = arranged(Img2Img(), noise(*SIZE), Image.new("L", SIZE))
    assert result.mask is None
    assert result.notes == (inpaint.BLANK,)
    assert not arranged(Img2Img(inpaint_full_res=False), noise(*SIZE), Image.new("L", SIZE)).notes


def test_only_masked_works_on_the_part_at_full_size() -> None:
    picture, mask = Image.new("RGB", (200, 200), "red"), Image.new("L", (200, 200))
    picture.paste("blue", (40, 40, 72, 64))
    mask.paste(255, (40, 40, 72, 64))
    sharp = Img2Img(mask_blur_x=0, mask_blur_y=0, inpainting_fill=1)
    result = arranged(sharp, picture, mask)
    assert result.overlays[0].place == (40, 40, 72, 64)
    assert result.pictures[0].getcolors() == [(64 * 48, (0, 0, 255))]
    finished = result.overlays[0].laid_over(Image.new("RGB", SIZE, "lime"))
    assert sorted(finished.getcolors()) == [(32 * 24, (0, 255, 0)), (200 * 200 - 32 * 24, (255, 0, 0))]


def test_a_latent_mask_takes_the_masks_place() -> None:
    latent = Image.new("L", SIZE, 255)
    result = arranged(Img2Img(inpaint_full_res=False), noise(*SIZE), spot(*SIZE), latent_mask=latent)
    assert result.mask is not None
    assert result.mask.getextrema() == (255, 255)
    assert result.shown is not None
    assert result.shown.getextrema()[0] == 0


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("init_images", {"init_images": ()}),
        ("init_images", {"init_images": ("a", "b", "c"), "batch_size": 2}),
        ("denoising_strength", {"denoising_strength": 1.5}),
        ("denoising_strength", {"denoising_strength": float("nan")}),
        ("denoising_strength", {"denoising_strength": None}),
        ("resize_mode", {"resize_mode": 7}),
        ("inpainting_fill", {"inpainting_fill": -1}),
        ("mask_blur_x", {"mask_blur_x": -1}),
        ("inpaint_full_res_padding", {"inpaint_full_res_padding": -4}),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(field: str, values: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match=field) as caught:
        inpaint.check(dataclasses.replace(Img2Img(init_images=("a",)), **values))
    assert caught.value.field == field
