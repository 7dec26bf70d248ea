"""A1111's `modules.api.api`."""

from modules.compat.endpoints import *  # noqa: F403
from modules.compat.endpoints import Api, decode_base64_to_image, encode_pil_to_base64

__all__ = ["Api", "decode_base64_to_image", "encode_pil_to_base64"]
