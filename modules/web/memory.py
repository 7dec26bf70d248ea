"""RAM and accelerator memory, in the shape of A1111's /sdapi/v1/memory. Asks torch only where it is loaded already."""

from __future__ import annotations

import sys
from typing import Any

import psutil

from modules.core.types import JsonObject


def memory() -> JsonObject:
    """{"ram": …, "cuda": …}, all in bytes; "cuda" has only "error" where there is none."""
    return {"ram": _ram(), "cuda": _cuda()}


def _ram() -> JsonObject:
    used = psutil.Process().memory_info().rss
    total = psutil.virtual_memory().total
    return {"free": total - used, "used": used, "total": total}


def _cuda() -> JsonObject:
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {"error": "unavailable"}
    free, total = torch.cuda.mem_get_info()
    facts = dict(torch.cuda.memory_stats())
    pairs = {
        "active": "active_bytes.all",
        "allocated": "allocated_bytes.all",
        "reserved": "reserved_bytes.all",
        "inactive": "inactive_split_bytes.all",
    }
    return {
        "system": {"free": free, "used": total - free, "total": total},
        **{name: {"current": facts[f"{key}.current"], "peak": facts[f"{key}.peak"]} for name, key in pairs.items()},
        "events": {"retries": facts["num_alloc_retries"], "oom": facts["num_ooms"]},
    }
