"""Upscaling in tiles against the whole picture at once: the same random network, in processes of their own.

    python benchmarks/upscale.py [--size WxH] [--network compact|esrgan] [--tile N] [--device cpu|auto] [--rounds N]

Prints the ratios of times and of peak memory (tiled / whole; below 1 tiles win) and how far the pictures are apart.
`--skip-whole` leaves out the whole picture, which may not fit into memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

NETWORKS = {
    "compact": ("Compact", {"num_feat": 64, "num_conv": 32, "upscale": 4}),  # realesr-general-x4v3
    "esrgan": ("ESRGAN", {"num_filters": 64, "num_blocks": 23}),  # RealESRGAN_x4plus
}


def main() -> None:
    asked = arguments()
    if asked.child:
        print(json.dumps(measured(asked)))
        return
    with tempfile.TemporaryDirectory() as folder:
        _make(Path(folder), asked.network)
        sizes = [asked.tile] if asked.skip_whole else [0, asked.tile]
        found = {tile: _in_child(asked, tile, Path(folder)) for tile in sizes}
        for tile, facts in found.items():
            what = f"tiles of {tile}" if tile else "all at once"
            print(f"{what}: {facts['seconds']:.2f} s, peak memory {facts['megabytes']:.0f} MB")
        if not asked.skip_whole:
            _compare(found[asked.tile], found[0], Path(folder), asked.tile)


def _compare(tiled: dict[str, Any], whole: dict[str, Any], folder: Path, tile: int) -> None:
    import numpy as np
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    one, two = (np.asarray(Image.open(folder / f"{number}.png"), dtype=np.int16) for number in (tile, 0))
    print(f"time, tiled / whole: {tiled['seconds'] / whole['seconds']:.2f}")
    print(f"memory, tiled / whole: {tiled['megabytes'] / whole['megabytes']:.2f}")
    print(f"largest difference: {int(np.abs(one - two).max())} of 255")


def _make(folder: Path, network: str) -> None:
    import importlib

    import torch
    from safetensors.torch import save_file

    from modules.loading.upscale import networks

    networks.library()
    torch.manual_seed(0)
    architecture, sizes = NETWORKS[network]
    made = getattr(importlib.import_module(f"spandrel.architectures.{architecture}"), architecture)(**sizes)
    (folder / "ESRGAN").mkdir()
    save_file(
        {name: tensor.contiguous() for name, tensor in made.state_dict().items()}, folder / "ESRGAN/x.safetensors"
    )


def _in_child(asked: argparse.Namespace, tile: int, folder: Path) -> dict[str, Any]:
    """Peak memory is a process's own, so each way gets one."""
    words = ["--size", asked.size, "--tile", str(tile), "--device", asked.device, "--rounds", str(asked.rounds)]
    command = [sys.executable, __file__, *words, "--child", str(folder)]
    facts: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return facts


def measured(asked: argparse.Namespace) -> dict[str, Any]:
    """Median seconds of a pass, and the peak megabytes of this process (of the GPU where it computes)."""
    import numpy as np
    import torch
    from PIL import Image

    from modules.core import device
    from modules.loading.upscale.catalog import Upscalers
    from modules.settings.builtin import registry
    from modules.settings.options import Snapshot

    folder = Path(asked.child)
    placement = device.choose(use_cpu=["all"] if asked.device == "cpu" else [])
    upscalers = Upscalers({"ESRGAN": (folder / "ESRGAN",)}, lambda part: placement)
    options = {**Snapshot(registry()), "ESRGAN_tile": asked.tile}
    width, height = (int(side) for side in asked.size.split("x"))
    noise = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    image = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    upscalers.upscale(image.crop((0, 0, 64, 64)), 4, "x", options)  # warm up
    times = []
    for _ in range(asked.rounds):
        started = time.perf_counter()
        enlarged = upscalers.upscale(image, 4, "x", options)
        times.append(time.perf_counter() - started)
    enlarged.save(folder / f"{asked.tile}.png", compress_level=1)
    on_gpu = placement.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": statistics.median(times), "megabytes": peak / 2**20}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="256x256", metavar="WxH", help="of the picture before")
    parser.add_argument("--network", default="compact", choices=tuple(NETWORKS))
    parser.add_argument("--tile", default=192, type=int)
    parser.add_argument("--device", default="cpu", choices=("cpu", "auto"))
    parser.add_argument("--rounds", default=1, type=int)
    parser.add_argument("--skip-whole", action="store_true")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
