"""`devices`, `lowvram`, `memmon`: where things are computed and in which number format."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from typing import Any

from modules.compat import room as rooms


def placement() -> Any:
    return rooms.current().studio.shelf.placement


LIVE = {
    "device": lambda: placement().device,
    "device_interrogate": lambda: placement().device,
    "device_esrgan": lambda: placement().device,
    "device_gfpgan": lambda: placement().device,
    "device_codeformer": lambda: placement().device,
    "dtype": lambda: placement().dtype,
    "dtype_unet": lambda: placement().dtype,
    "dtype_vae": lambda: placement().vae_dtype if hasattr(placement(), "vae_dtype") else placement().dtype,
    "dtype_inference": lambda: placement().dtype,
}


def torch_gc() -> None:
    """Give memory back to the accelerator."""
    from modules.core import device

    device.free(placement().device)


def get_optimal_device_name() -> str:
    return str(placement().device)


def get_optimal_device() -> Any:
    return placement().device


def get_device_for(task: str) -> Any:
    import torch

    return torch.device("cpu") if task in rooms.current().app.flags.use_cpu else placement().device


def has_mps() -> bool:
    return bool(placement().device.type == "mps")


def has_xpu() -> bool:
    return bool(placement().device.type == "xpu")


def autocast(disable: bool = False) -> Any:
    """Models are called in their own number format already."""
    import torch

    place = placement()
    if disable or place.dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(place.device.type, dtype=place.dtype)


def without_autocast(disable: bool = False) -> Any:
    import torch

    if torch.is_autocast_enabled() and not disable:
        return torch.autocast(placement().device.type, enabled=False)
    return contextlib.nullcontext()


def cond_cast_unet(input: Any) -> Any:
    return input.to(placement().dtype)


def cond_cast_float(input: Any) -> Any:
    return input.float()


class NansException(Exception):
    """A result is all NaN."""


def test_for_nans(x: Any, where: str) -> None:
    """Raises NansException where nothing in x is a number."""
    import torch

    if rooms.current().app.flags.disable_nan_check:
        return
    if torch.all(torch.isnan(x)).item():
        raise NansException(f"A tensor with NaNs was produced in {where}. Start with --no-half, or take another file.")


def randn(seed: int, shape: Any, generator: Any = None) -> Any:
    """Noise by a seed, from the chosen source."""
    from modules.core import noise

    return noise.generator(rooms.current().opts.randn_source, int(seed), placement().device).draw(tuple(shape))


def send_everything_to_cpu() -> None:
    """Residency decides which part is on the accelerator, when it is needed."""


def setup_for_low_vram(sd_model: Any, use_medvram: bool) -> None:
    """See --medvram and --lowvram: residency is chosen at the start."""


def is_enabled(sd_model: Any) -> bool:
    flags = rooms.current().app.flags
    return bool(flags.lowvram or flags.medvram)


class MemUsageMonitor(threading.Thread):
    """Memory of the accelerator in MiB when it is read."""

    def __init__(self, name: str = "", device: Any = None, opts: Any = None) -> None:
        super().__init__(name=name or "memory", daemon=True)
        self.data: dict[str, Any] = defaultdict(int)
        self.disabled = True

    def monitor(self) -> None:
        """Counted when it is read."""

    def run(self) -> None:
        """Counted when it is read."""

    def read(self) -> dict[str, Any]:
        import torch

        if torch.cuda.is_available():
            free, total = torch.cuda.mem_get_info()
            self.data |= {"free": free, "total": total, "active_peak": torch.cuda.max_memory_allocated()}
            self.data["min_free"] = self.data["used"] = total - free
        return self.data

    def stop(self) -> dict[str, Any]:
        return self.read()


def __getattr__(name: str) -> Any:
    if name in LIVE:
        return LIVE[name]()
    if name == "cpu":
        import torch

        return torch.device("cpu")
    if name in ("unet_needs_upcast", "fp8", "force_fp16"):
        return False
    raise AttributeError(f"modules.devices has no {name}")
