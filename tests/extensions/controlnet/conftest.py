"""A bench with the extension and tiny control models: `ldm-canny.pth`, `diffusers`, `t2iadapter`, …"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from PIL import Image

from extensions.controlnet import layouts
from modules.core import device
from tests.extensions.controlnet import nets
from tests.studio import Bench


@pytest.fixture(scope="module")
def controlled(bench: Bench) -> Iterator[Bench]:
    """The bench; files lie in its models/ControlNet."""
    folder = bench.folder / "models" / "ControlNet"
    folder.mkdir(parents=True, exist_ok=True)
    weights = nets.ldm()
    torch.save(weights, folder / "ldm-canny.pth")
    network = layouts.controlnet(weights, device.choose(use_cpu=["all"]))
    nets.save(network.state_dict(), folder / "diffusers.safetensors")
    nets.save(nets.ldm(seed=5), folder / "other.safetensors")
    adapter = nets.t2i()
    nets.save(nets.tencent(adapter), folder / "t2iadapter.safetensors")
    nets.save(adapter.state_dict(), folder / "t2iadapter-diffusers.safetensors")
    nets.save({"lora_controlnet": torch.zeros(1), "input_blocks.0.0.up": torch.zeros(1)}, folder / "lora.safetensors")
    wide = {name: each for name, each in weights.items() if "attn2.to_k" not in name and "attn2.to_v" not in name}
    wide |= {
        name: torch.zeros(each.shape[0], 128)
        for name, each in weights.items()
        if "attn2.to_k" in name or "attn2.to_v" in name
    }
    nets.save(wide, folder / "wide.safetensors")
    with bench.extended("controlnet"):
        yield bench


@pytest.fixture(scope="module")
def picture(controlled: Bench) -> str:
    """The name of a picture in the inputs: shapes on a slope of greys."""
    image = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    image.paste((220, 30, 40), (8, 8, 30, 40))
    image.paste((20, 200, 90), (34, 20, 60, 60))
    return controlled.studio.inputs.add_image(image)
