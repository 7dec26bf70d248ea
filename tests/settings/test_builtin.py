"""The table of settings against A1111's own answers, and its inner agreement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modules.settings.builtin import HELP, INFOTEXT, OWN, WORKS, registry
from modules.settings.options import Snapshot

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
MACHINE_STATE = {"sd_model_checkpoint", "sd_checkpoint_hash", "disabled_extensions"}
OWN_DEFAULTS = {"randn_source": "NV", "show_progress_type": "Approx cheap", "api_enable_requests": False}
"""Ours on purpose: the same picture on every device, no extra model, no requests to other machines unasked."""
REGISTRY = registry(samplers=["Euler"], schedulers=["Karras"])


def reference(name: str) -> Any:
    path = REFERENCE / name
    if not path.exists():
        pytest.skip("A1111's reference files are not here")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.reference
def test_the_keys_and_defaults_are_those_of_a1111() -> None:
    theirs = reference("get/options.json")
    assert set(REGISTRY) - OWN == set(theirs)
    notes = {option.key for option in REGISTRY.options() if option.kind == "html"}
    ours = {key: REGISTRY[key].default for key in REGISTRY}
    expected = {key: value for key, value in theirs.items() if key not in MACHINE_STATE | notes} | OWN_DEFAULTS
    assert {key: ours[key] for key in expected} == expected
    assert [ours[key] for key in sorted(MACHINE_STATE)] == [[], "", None]


@pytest.mark.reference
def test_every_value_of_a1111s_own_settings_is_taken_as_it_is() -> None:
    theirs = reference("get/options.json")
    taken = Snapshot(REGISTRY).overlay(theirs)
    notes = {option.key for option in REGISTRY.options() if option.kind == "html"}
    assert {key: taken[key] for key in theirs if key not in notes} == {
        key: value for key, value in theirs.items() if key not in notes
    }


@pytest.mark.reference
def test_ranges_and_choices_of_working_options_are_those_of_its_page() -> None:
    elements = {element["elem_id"]: element for element in reference("a1111-ui-elements.json") if element["elem_id"]}
    for key in WORKS - OWN:
        element, option = elements[f"setting_{key}"], REGISTRY[key]
        if element["type"] == "slider":
            assert (option.minimum, option.maximum) == (element["minimum"], element["maximum"]), key
        if element["type"] == "radio":
            theirs = {choice[1] for choice in element["choices"]}
            assert theirs == {*(option.choices or ()), *option.also}, key


@pytest.mark.reference
def test_infotext_labels_are_those_that_a1111_can_paste() -> None:
    elements = {element["elem_id"]: element for element in reference("a1111-ui-elements.json")}
    pasted = set(elements["setting_infotext_skip_pasting"]["choices"])
    own = {INFOTEXT[key] for key in OWN if key in INFOTEXT}
    assert set(INFOTEXT.values()) - pasted == {"FP8 weight", "Cache FP16 weight for LoRA"} | own
    assert (
        set(REGISTRY["infotext_skip_pasting"].choices or ()) - pasted
        == {"Sampler", "Schedule type", "FP8 weight"} | own
    )


def test_every_table_speaks_of_options_that_exist() -> None:
    assert set(REGISTRY) >= WORKS | set(INFOTEXT)
    assert set(HELP) <= WORKS
    assert len(set(INFOTEXT.values())) == len(INFOTEXT)
    assert REGISTRY.labels()["Clip skip"] == "CLIP_stop_at_last_layers"


def test_an_option_that_works_has_a_label_and_a_menu_has_choices() -> None:
    dynamic = {"sd_model_checkpoint", "sd_vae"}  # the library knows them
    dynamic |= {"localization", "hidden_tabs", "ui_tab_order"}  # the page does
    dynamic |= {"interrogate_clip_skip_categories"}  # names of the owner's files
    for key in WORKS:
        option = REGISTRY[key]
        assert option.works
        assert option.label, key
        assert option.kind not in ("choice", "choices") or option.choices or key in dynamic, key


def test_sections_have_ids_and_titles_of_a1111_and_hold_every_option_once() -> None:
    sections = REGISTRY.sections()
    titles = {section: title for section, title, _ in sections}
    assert titles["saving-images"] == "Saving images/grids"
    assert titles["sampler-params"] == "Sampler parameters"
    assert titles["ui_live_previews"] == "Live previews"
    keys = [option.key for _, _, options in sections for option in options]
    assert sorted(keys) == sorted(REGISTRY)


def test_samplers_to_hide_are_those_there_are() -> None:
    assert REGISTRY["hide_samplers"].choices == ("Euler",)
    assert REGISTRY.check("hide_samplers", ["karras", "UniPC"]) == ["Karras", "UniPC"]
