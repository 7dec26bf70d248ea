"""`hashes`: SHA-256 of files."""

from __future__ import annotations

from typing import Any

from modules.compat import caching
from modules.compat.checkpoints import calculate_sha256, sha256, sha256_from_cache

__all__ = ["addnet_hash_safetensors", "cache", "calculate_sha256", "dump_cache", "sha256", "sha256_from_cache"]

cache = caching.cache
dump_cache = caching.dump_cache
blksize = 1024 * 1024


def addnet_hash_safetensors(b: Any) -> str:
    """SHA-256 of a .safetensors file without its header."""
    import hashlib

    b.seek(0)
    length = int.from_bytes(b.read(8), "little")
    b.seek(length + 8)
    digest = hashlib.sha256()
    while block := b.read(blksize):
        digest.update(block)
    return digest.hexdigest()
