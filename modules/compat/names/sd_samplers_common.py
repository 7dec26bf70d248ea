"""A1111's `modules.sd_samplers_common`."""

from modules.compat.sampling import (
    InterruptedException,
    SamplerData,
    approximation_indexes,
    decode_first_stage,
    images_tensor_to_samples,
    sample_to_image,
    samples_to_images_tensor,
    setup_img2img_steps,
)

__all__ = [
    "InterruptedException",
    "Sampler",
    "SamplerData",
    "approximation_indexes",
    "decode_first_stage",
    "images_tensor_to_samples",
    "sample_to_image",
    "samples_to_images_tensor",
    "setup_img2img_steps",
]


class Sampler:
    """A name to test against; samplers are functions here."""

    callback_state = None
