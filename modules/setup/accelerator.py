"""Which accelerator this machine has, and which torch is asked for because of it.

`look` gathers facts from the system, `accelerator` judges them, `choose` turns the judgement and A1111's environment
variables into a `Source`. PyTorch's own wheel indexes are not named here: who needs one gives it in TORCH_INDEX_URL.
"""

from __future__ import annotations

import dataclasses
import platform
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from modules.setup.failure import SetupFailed
from modules.setup.requirements import Pin, at_least, public

INTEL = "0x8086"
INTEGRATED_BUS = "00"  # an Intel GPU on PCI bus 00 is the one inside the processor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What was seen: `system` as platform.system() says it, and the driver traces of each maker's GPU."""

    system: str
    nvidia: bool = False
    amd: bool = False
    intel: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """One accelerator. builds: local versions of torch made for it, best first, () where the plain one is right;
    suffix: how the address of its wheel index ends; gigabytes: free disk that an installation needs."""

    name: str
    title: str
    builds: tuple[str, ...]
    suffix: str
    gigabytes: int


CUDA_GIGABYTES = 9
CPU_GIGABYTES = 3

KINDS = {
    kind.name: kind
    for kind in (
        Kind(name="cuda", title="NVIDIA GPU", builds=(), suffix="", gigabytes=CUDA_GIGABYTES),
        Kind(
            name="rocm",
            title="AMD GPU",
            builds=("rocm7.2", "rocm7.1", "rocm7.0", "rocm6.4"),
            suffix="rocm6.4 (or a later rocm)",
            gigabytes=CUDA_GIGABYTES + 6,
        ),
        Kind(name="xpu", title="Intel GPU", builds=("xpu",), suffix="xpu", gigabytes=CUDA_GIGABYTES),
        Kind(name="mps", title="Mac", builds=(), suffix="", gigabytes=CPU_GIGABYTES),
        Kind(name="cpu", title="machine without a GPU", builds=("cpu",), suffix="cpu", gigabytes=CPU_GIGABYTES),
    )
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """How torch is to be had.

    arguments: what follows `python -m` (a TORCH_COMMAND as given; else `pip install …`); key: what the user asked for,
    kept in the stamp, so that another wish is another installation; hint: a line to print, or "";
    pin: the version it must have, None where TORCH_COMMAND decides; gigabytes: free disk needed.
    """

    arguments: tuple[str, ...]
    key: str = ""
    hint: str = ""
    pin: Pin | None
    gigabytes: int

    def met_by(self, version: str | None) -> bool:
        """Is this installed torch (None: none is) the one asked for, as far as its version tells?"""
        return version is not None and (self.pin is None or self.pin.met_by(version))


def look(
    root: Path = Path("/"),
    system: str = "",
    find: Callable[[str], str | None] = shutil.which,
    answers: Callable[[list[str]], bool] | None = None,
) -> Facts:
    """See which GPU drivers there are. root: the file system's root; find: a command's path; answers: does it run?"""
    system = system or platform.system()
    answers = answers or _answers
    proc = root / "proc/driver/nvidia/version"
    return Facts(
        system=system,
        nvidia=proc.exists() or (find("nvidia-smi") is not None and answers(["nvidia-smi", "-L"])),
        amd=(root / "dev/kfd").exists() or (find("rocm-smi") is not None and answers(["rocm-smi", "--showid"])),
        intel=any(_is_discrete_intel(card) for card in sorted((root / "sys/class/drm").glob("card*/device"))),
    )


def accelerator(facts: Facts) -> Kind:
    """The kind of accelerator torch should be built for: the one GPU there is; NVIDIA before AMD before Intel."""
    if facts.system == "Darwin":
        return KINDS["mps"]
    seen = (("cuda", facts.nvidia), ("rocm", facts.amd), ("xpu", facts.intel))
    return KINDS[next((name for name, there in seen if there), "cpu")]


def wish(environ: Mapping[str, str]) -> str:
    """What the user asked for by TORCH_COMMAND or TORCH_INDEX_URL, in one word for the stamp; "" for the default."""
    command, index = environ.get("TORCH_COMMAND", "").strip(), environ.get("TORCH_INDEX_URL", "").strip()
    return f"command {command}" if command else f"index {index}" if index else ""


def choose(
    facts: Facts, pin: Pin, environ: Mapping[str, str], finds: Callable[[str], bool] = lambda requirement: False
) -> Source:
    """Where torch comes from, most explicit wish first.

    TORCH_COMMAND replaces the whole command (`pip install …`); TORCH_INDEX_URL is an extra index; otherwise a build
    made for the accelerator if pip can find one (`finds("torch==2.13.0+cpu")`), otherwise the plain pin, with a hint.
    """
    kind = accelerator(facts)
    key = wish(environ)
    if key.startswith("command "):
        return Source(arguments=_words(environ["TORCH_COMMAND"]), key=key, pin=None, gigabytes=kind.gigabytes)
    if key.startswith("index "):
        index = environ["TORCH_INDEX_URL"].strip()
        size = CPU_GIGABYTES if index.rstrip("/").endswith("/cpu") else kind.gigabytes
        return Source(arguments=_install(str(pin), "--extra-index-url", index), key=key, pin=pin, gigabytes=size)
    build = next((build for build in kind.builds if finds(f"{pin}+{build}")), None)
    if build:
        return Source(arguments=_install(f"{pin}+{build}"), pin=pin, gigabytes=kind.gigabytes)
    if kind.builds and facts.system == "Linux":  # elsewhere the plain build is the CPU's anyway
        return Source(arguments=_install(str(pin)), hint=hint(kind), pin=pin, gigabytes=CUDA_GIGABYTES)
    return Source(arguments=_install(str(pin)), pin=pin, gigabytes=kind.gigabytes)


def hint(kind: Kind) -> str:
    """One line for a machine whose best torch is not on the usual index: what to set to get it."""
    loss = "works but is larger than needed" if kind.name == "cpu" else "computes on the CPU only"
    return (
        f"Torch: this is a {kind.title}; the usual build of torch {loss}. For the right one set TORCH_INDEX_URL to the "
        f"wheel index on PyTorch's own install page whose address ends in {kind.suffix}, and start again."
    )


def unfit(version: str | None, oldest: tuple[int, int] = (2, 11)) -> str:
    """Why this torch, found in an environment that is left alone, will not do; "" if it will."""
    if version is None:
        return "torch is not installed there"
    if not at_least(version, oldest):
        return f"torch {public(version)} is there, and Easel needs {oldest[0]}.{oldest[1]} or newer"
    return ""


def _install(*arguments: str) -> tuple[str, ...]:
    return ("pip", "install", *arguments)


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise SetupFailed(f"TORCH_COMMAND cannot be read ({error}): {command}") from error


def _answers(command: list[str]) -> bool:
    """Does the command end well within 20 s? A driver tool without its GPU fails."""
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _is_discrete_intel(device: Path) -> bool:
    """device: a card's PCI device folder in sysfs, whose real name is `domain:bus:slot.function`."""
    vendor = device / "vendor"
    if not vendor.is_file() or vendor.read_text().strip() != INTEL:
        return False
    parts = device.resolve().name.split(":")
    return len(parts) == 3 and parts[1] != INTEGRATED_BUS
