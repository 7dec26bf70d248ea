"""Residency: with medvram only the part at work is on the accelerator; with plenty of memory nothing ever moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from modules.core import device
from modules.loading import loader
from modules.loading.library import Checkpoint
from modules.loading.prediction import Given
from modules.loading.residency import Residency, follow
from tests.studio import MODELS

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")
META = torch.device("meta")


class Part(nn.Module):
    """Remembers where it was sent instead of going there."""

    def __init__(self, at: torch.device) -> None:
        super().__init__()
        self.at = at
        self.moves = 0

    def to(self, device: Any, *_: Any, **__: Any) -> Part:  # type: ignore[override]
        self.moves += device != self.at
        self.at = device
        return self


def parts_of(residency: Residency) -> dict[str, Part]:
    parts = {name: Part(residency.home) for name in ("text", "denoiser", "vae")}
    residency.manage(parts)
    return parts


def test_normally_everything_stays() -> None:
    residency = Residency("normal", GPU)
    parts = parts_of(residency)
    for name in parts:
        residency.use(name)
    assert {(part.at, part.moves) for part in parts.values()} == {(GPU, 0)}


def test_medvram_keeps_one_part_on_the_accelerator() -> None:
    residency = Residency("medvram", GPU)
    parts = parts_of(residency)
    for name in ("text", "denoiser", "vae", "text"):
        residency.use(name)
        assert {other: part.at for other, part in parts.items()} == {
            other: GPU if other == name else CPU for other in parts
        }


def test_out_of_memory_it_goes_on_with_less_on_the_accelerator() -> None:
    residency = Residency("normal", GPU)
    parts = parts_of(residency)
    assert residency.lower() == residency.mode == "medvram"
    assert {part.at for part in parts.values()} == {CPU}
    residency.use("vae")
    assert {name: part.at for name, part in parts.items()} == {"text": CPU, "denoiser": CPU, "vae": GPU}
    assert Residency("lowvram", GPU).lower() is None
    assert Residency("normal", CPU).lower() is None


@pytest.mark.parametrize("mode", ["normal", "medvram"])
def test_a_model_that_is_not_in_use_leaves_and_comes_back(mode: str) -> None:
    residency = Residency(mode, GPU)
    parts = parts_of(residency)
    residency.leave()
    assert {part.at for part in parts.values()} == {CPU}
    residency.enter()
    assert {part.at for part in parts.values()} == {residency.home}


def test_lowvram_brings_each_layer_while_it_computes_and_no_longer() -> None:
    """On the meta device, the one other that every machine has; an error on the way changes nothing of that."""
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).eval()
    before = {name: each.clone() for name, each in network.state_dict().items()}
    seen: list[torch.device] = []
    follow(network, META)
    network[0].register_forward_hook(lambda *_: seen.extend(each.device for each in network.parameters()))
    with torch.inference_mode():
        assert network(torch.ones(2, 4, device=META)).device == META
        with pytest.raises(RuntimeError):
            network(torch.ones(2, 5, device=META))
    assert set(seen) == {CPU}
    assert all(torch.equal(each, before[name]) for name, each in network.state_dict().items())


def test_every_part_of_a_denoiser_computes_where_its_layers_are_brought() -> None:
    """No layer reads the weights of another, which would be elsewhere then."""
    placement = device.choose(use_cpu=["all"])
    entry = Checkpoint(path=MODELS / "Stable-diffusion" / "tiny-sd1.safetensors", name="tiny-sd1.safetensors")
    model = loader.load(entry, placement, Residency("normal", CPU))
    follow(model.unet, META)
    given = Given(context=torch.empty(1, 77, model.text.width, device=META))
    with torch.inference_mode():
        answer = model.ask(model.unet, torch.empty(1, 4, 8, 8, device=META), torch.tensor([500.0], device=META), given)
    assert answer.device == META
    assert {each.device for each in model.unet.parameters()} == {CPU}


def test_on_the_cpu_there_is_nothing_to_save() -> None:
    assert Residency("lowvram", CPU).mode == "normal"


def test_what_is_at_home_is_not_moved_again() -> None:
    residency = Residency("normal", GPU)
    parts = parts_of(residency)
    sent: list[Any] = []
    parts["denoiser"].to = lambda device: sent.append(device)  # type: ignore[method-assign, assignment, misc]
    residency.enter()
    assert sent == []
    assert (residency.leave(), residency.leave()) == (True, False)
    residency.enter()
    residency.enter()
    assert sent == [CPU, GPU]
    residency.replace("vae", Part(CPU))  # nobody knows where that one lies
    residency.enter()
    assert sent == [CPU, GPU, GPU]
