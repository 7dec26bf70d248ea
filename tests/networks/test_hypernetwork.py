"""Laws of hypernetworks: a file of any structure gives A1111's formula, and hooks that are taken out leave nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from modules.core.errors import DamagedFile
from modules.networks.files import Files
from modules.networks.hypernetwork import ACTIVATIONS, Hypernetwork, Shape, install, read


def saved(folder: Path, **facts: Any) -> Hypernetwork:
    """A file of this structure with random numbers for contexts 8 wide, written and read back."""
    shape = Shape.of(facts)
    torch.manual_seed(0)
    pair = tuple({f"linear.{name}": tensor for name, tensor in shape.build(8).state_dict().items()} for _ in range(2))
    data: dict[Any, Any] = {8: pair, "name": "other", "step": 1, **facts}
    torch.save(data, folder / "net.pt")
    (file,) = Files([folder], (".pt",)).all()
    return read(file)


@pytest.mark.filterwarnings("ignore:Implicit dimension")
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("layer_norm", [False, True])
def test_all_activations_load_and_run(tmp_path: Path, activation: str, layer_norm: bool) -> None:
    network = saved(tmp_path, activation_func=activation, is_layer_norm=layer_norm, layer_structure=[1, 2, 2, 1])
    assert network.layers[8][0](torch.randn(2, 3, 8)).shape == (2, 3, 8)


def test_the_formula(tmp_path: Path) -> None:
    """context + strength * (W2 relu(W1 context + b1) + b2), apart for keys and values."""
    network = saved(tmp_path, activation_func="relu", activate_output=False)
    attention = nn.Module()
    attention.to_k, attention.to_v, attention.to_q = (nn.Identity() for _ in range(3))
    context = torch.randn(2, 5, 8)
    undo = install(attention, [(network, 0.7)], torch.device("cpu"))
    changed = attention.to_k(context), attention.to_v(context)
    for found, layers in zip(changed, network.layers[8], strict=True):
        first, second = (each for each in layers if isinstance(each, nn.Linear))
        hidden = functional.linear(context, first.weight, first.bias).relu()
        torch.testing.assert_close(found, context + 0.7 * functional.linear(hidden, second.weight, second.bias))
    assert torch.equal(attention.to_q(context), context)
    other = torch.randn(2, 5, 9)
    assert torch.equal(attention.to_k(other), other)
    undo()
    assert torch.equal(attention.to_k(context), context)


@pytest.mark.parametrize(
    ("facts", "linears"),
    [
        ({}, (0, 1)),
        ({"activation_func": "relu", "activate_output": False}, (0, 2)),
        ({"activation_func": "relu", "is_layer_norm": True}, (0, 3)),
        ({"activation_func": "relu", "layer_structure": [1, 2, 2, 1], "use_dropout": True}, (0, 3, 5)),
        (
            {
                "activation_func": "relu",
                "layer_structure": [1, 2, 2, 1],
                "use_dropout": True,
                "last_layer_dropout": True,
            },
            (0, 3, 6),
        ),
        ({"layer_structure": [1, 2, 2, 1], "dropout_structure": [0, 0, 0.3, 0]}, (0, 1, 3)),
    ],
)
def test_layers_are_numbered_as_a1111_numbers_them(facts: dict[str, Any], linears: tuple[int, ...]) -> None:
    layers = Shape.of(facts).build(8)
    assert tuple(index for index, layer in enumerate(layers) if isinstance(layer, nn.Linear)) == linears


def test_names_of_the_first_files_are_read(tmp_path: Path) -> None:
    old = {
        "linear1.weight": torch.randn(16, 8),
        "linear1.bias": torch.zeros(16),
        "linear2.weight": torch.randn(8, 16),
        "linear2.bias": torch.zeros(8),
    }
    torch.save({8: (old, old)}, tmp_path / "old.pt")
    (file,) = Files([tmp_path], (".pt",)).all()
    assert torch.equal(read(file).layers[8][0][1].weight, old["linear2.weight"])


@pytest.mark.parametrize(
    "content",
    [
        {},
        [1],
        {8: (1, 2)},
        {8: ({}, {})},
        {"activation_func": "nothing", 8: ({}, {})},
        {"layer_structure": [2, 1], 8: ({}, {})},
        {"code": pytest.fail},
    ],
)
def test_what_is_no_hypernetwork_is_refused_by_name(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "wrong.pt")
    (file,) = Files([tmp_path], (".pt",)).all()
    with pytest.raises(DamagedFile, match=r"wrong\.pt"):
        read(file)
