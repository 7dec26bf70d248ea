"""Cards of networks: what lies on the disk is shown, and notes and previews are kept beside it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from modules.core.errors import BadRequest, NotFound
from modules.loading import cards as files
from modules.web.ui import cards, page
from tests.web.ui.fakes import World


def network(path: Path, **metadata: str) -> Path:
    """A file with a header and one number."""
    table = {"__metadata__": metadata, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    head = json.dumps(table).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(4))
    return path


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    made = make_world()
    folder = made.services.paths.data / "Lora"
    network(folder / "castle.safetensors", ss_network_dim="4")
    network(folder / "style" / "ink.safetensors")
    (folder / "castle.json").write_text(json.dumps({"activation text": "on a hill", "own": 1, "preferred weight": 0.7}))
    return made


def shelf(world: World) -> cards.Shelf:
    services = world.services
    return cards.Shelf(services=services, media=page.media_of(services), kinds=cards.kinds(services))


def test_a_card_knows_its_folder_text_and_weight(world: World) -> None:
    found = {card["id"]: card for card in shelf(world).list({"kind": "lora"})["cards"]}
    assert set(found) == {"castle", "style/ink"}
    assert found["castle"]["text"] == "<lora:castle:0.7>"
    assert (found["style/ink"]["folder"], found["style/ink"]["text"]) == ("style", "<lora:ink:1>")
    assert found["castle"]["activation"] == "on a hill"


def test_without_a_weight_of_its_own_the_option_counts(world: World) -> None:
    world.services.options.set({"extra_networks_default_multiplier": 0.5})
    found = {card["id"]: card["text"] for card in shelf(world).list({"kind": "lora"})["cards"]}
    assert found == {"castle": "<lora:castle:0.7>", "style/ink": "<lora:ink:0.5>"}


def test_checkpoints_are_chosen_by_their_title(world: World) -> None:
    found = shelf(world).list({"kind": "checkpoints"})["cards"]
    assert [card["title"] for card in found] == [
        "tiny-sd1.safetensors [0123456789]",
        "sub/other.safetensors [0123456789]",
    ]
    assert [card["folder"] for card in found] == ["", "sub"]


def test_notes_are_kept_and_what_the_page_does_not_know_stays(world: World) -> None:
    asked = {"kind": "lora", "name": "castle", "notes": {"description": "grey", "activation text": ""}, "weight": 0.9}
    card = shelf(world).save(asked)
    assert (card["notes"]["description"], card["weight"]) == ("grey", 0.9)
    kept = files.read_notes(world.services.paths.data / "Lora" / "castle.safetensors")
    assert kept == {"own": 1, "description": "grey", "activation text": "", "preferred weight": 0.9}


def test_a_picture_becomes_the_preview(world: World, tmp_path: Path) -> None:
    picture = tmp_path / "new.jpg"
    Image.new("RGB", (40, 30), "red").save(picture)
    target = shelf(world).replace_preview("lora", "style/ink", picture)
    assert target.name == "ink.png"
    assert Image.open(target).size == (40, 30)
    assert {card["id"]: bool(card["preview"]) for card in shelf(world).list({"kind": "lora"})["cards"]} == {
        "castle": False,
        "style/ink": True,
    }


def test_metadata_are_told(world: World) -> None:
    card = shelf(world).card({"kind": "lora", "name": "castle"})
    assert card["metadata"] == {"ss_network_dim": "4"}


@pytest.mark.parametrize("name", ["../castle", "castle.json", "/etc/passwd", ""])
def test_only_listed_names_have_cards(world: World, name: str) -> None:
    with pytest.raises(NotFound):
        shelf(world).card({"kind": "lora", "name": name})


def test_an_unknown_kind_is_refused(world: World) -> None:
    with pytest.raises(BadRequest):
        shelf(world).list({"kind": "nonesuch"})


def test_loras_are_called_and_left_out_as_the_options_say(world: World) -> None:
    folder = world.services.paths.data / "Lora"
    network(folder / "large.safetensors", ss_base_model_version="sdxl_base_v1-0", ss_output_name="Grand")
    network(folder / "small.safetensors", ss_output_name="Petit")
    world.services.networks().loras.refresh()

    def shown(**options: object) -> dict[str, tuple[str, str]]:
        world.services.options.set(options)
        found = shelf(world).list({"kind": "lora"})["cards"]
        return {card["id"]: (card["text"], card["remark"]) for card in found}

    assert shown() == {
        "castle": ("<lora:castle:0.7>", ""),
        "small": ("<lora:Petit:1>", ""),
        "style/ink": ("<lora:ink:1>", ""),
    }
    assert shown(lora_preferred_name="Filename")["small"][0] == "<lora:small:1>"
    assert "style/ink" not in shown(lora_hide_unknown_for_versions=["SD1"])  # nothing is known of it
    assert shown(lora_show_all=True)["large"] == ("<lora:large:1>", "Made for another kind of model.")
    assert "style/ink" in shown()


def test_notes_beside_a_lora_win_over_what_its_trainer_wrote(world: World) -> None:
    path = world.services.paths.data / "Lora" / "castle.safetensors"
    files.write_notes(path, {"sd version": "SD2"})
    assert "castle" not in {card["id"] for card in shelf(world).list({"kind": "lora"})["cards"]}
