"""Which device computes, and in which number format. Decided once at start from flags; nothing else asks torch."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Collection

import torch

from modules.core.errors import EaselError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placement:
    """Where models live and compute.

    device: the accelerator or the CPU; dtype: weights and activations of the denoiser and the text encoders;
    vae_dtype: of the VAE (some released VAEs overflow float16: decoding then falls back to float32).
    """

    device: torch.device
    dtype: torch.dtype
    vae_dtype: torch.dtype

    @property
    def channels_last(self) -> bool:
        """Convolutions are faster with channels last: half precision on CUDA, and oneDNN's on the CPU."""
        return self.device.type in ("cuda", "cpu")


def choose(
    *,
    use_cpu: Collection[str] = (),
    device_id: str | None = None,
    no_half: bool = False,
    no_half_vae: bool = False,
    precision: str = "autocast",
    bf16: bool = False,
) -> Placement:
    """The best device there is, unless the flags say otherwise. Raises EaselError for a device that is not there."""
    device = torch.device("cpu") if "all" in use_cpu or "sd" in use_cpu else _accelerator(device_id)
    full = torch.float32
    if device.type == "cpu":
        if bf16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            raise EaselError("--bf16: this CPU has no bfloat16 instructions. Start without the flag to use float32.")
        half = torch.bfloat16 if bf16 else full
        return Placement(device=device, dtype=half, vae_dtype=full)
    if no_half or precision == "full":
        return Placement(device=device, dtype=full, vae_dtype=full)
    half = torch.bfloat16 if bf16 else torch.float16
    return Placement(device=device, dtype=half, vae_dtype=full if no_half_vae else half)


def out_of_memory(error: BaseException) -> bool:
    """Whether this is the device, or the machine, running out of memory."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(each in str(error) for each in words)
    )


def free(device: torch.device) -> None:
    """Give back what nothing holds any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def wide(placement: Placement) -> Placement:
    """The same for a model whose numbers overflow float16: bfloat16 where the device has it, else float32."""
    if placement.dtype != torch.float16:
        return placement
    cuda = placement.device.type == "cuda"
    half = torch.bfloat16 if not cuda or torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return dataclasses.replace(placement, dtype=half)


def _accelerator(device_id: str | None) -> torch.device:
    if torch.cuda.is_available():
        index = int(device_id) if device_id is not None else 0
        if index >= torch.cuda.device_count():
            raise EaselError(f"--device-id {index}: there are {torch.cuda.device_count()} GPUs, counted from 0.")
        return torch.device("cuda", index)
    if torch.xpu.is_available():
        return torch.device("xpu", int(device_id or 0))
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
