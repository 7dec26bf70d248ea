"""A1111's `modules.sd_hijack_clip`."""

from modules.compat.model import Clip

FrozenCLIPEmbedderWithCustomWordsBase = Clip
FrozenCLIPEmbedderWithCustomWords = Clip

__all__ = ["FrozenCLIPEmbedderWithCustomWords", "FrozenCLIPEmbedderWithCustomWordsBase"]
