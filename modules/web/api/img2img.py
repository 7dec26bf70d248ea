"""From the body of /sdapi/v1/img2img to an `Img2Img`: its pictures are read, checked and kept as files."""

from __future__ import annotations

from typing import Any

from modules.core.errors import BadRequest
from modules.generate.request import Img2Img
from modules.imaging.inputs import Inputs
from modules.web.api import pictures, txt2img
from modules.web.api.schemas import StableDiffusionProcessingImg2Img
from modules.web.security.fetching import Policy

REQUEST_FIELDS = (
    *("resize_mode", "image_cfg_scale", "mask_round", "inpainting_fill", "inpaint_full_res"),
    *("inpaint_full_res_padding", "inpainting_mask_invert", "initial_noise_multiplier"),
)
"""Fields that go into the `Img2Img` as they are."""


def request(
    body: StableDiffusionProcessingImg2Img, inputs: Inputs, addresses: Policy = pictures.NO_ADDRESSES
) -> Img2Img:
    """The job that a complete body asks for; its pictures lie in `inputs` then.

    Raises BadRequest naming the field: a feature that is missing, no picture, or one that cannot be read.
    """
    values = txt2img.shared(body)
    names = tuple(_kept(picture, "init_images", inputs, addresses) for picture in body.init_images or ())
    if not names:
        raise BadRequest("init_images: image to image needs a picture to start from.", field="init_images")
    return Img2Img(
        **values,
        **{field: getattr(body, field) for field in REQUEST_FIELDS},
        init_images=names,
        mask=_kept(body.mask, "mask", inputs, addresses) if body.mask else None,
        latent_mask=_kept(body.latent_mask, "latent_mask", inputs, addresses) if body.latent_mask else None,
        mask_blur_x=body.mask_blur_x if body.mask_blur is None else body.mask_blur,
        mask_blur_y=body.mask_blur_y if body.mask_blur is None else body.mask_blur,
    )


def _kept(picture: Any, field: str, inputs: Inputs, addresses: Policy) -> str:
    if not isinstance(picture, str):
        raise BadRequest(f"{field}: a picture is text in base64, not {type(picture).__name__}.", field=field)
    return inputs.add(pictures.decode(picture, field=field, addresses=addresses), field=field)
