"""Suggestions: what begins with the word, the most used first; networks by their tags."""

from __future__ import annotations

from pathlib import Path

from modules.web.ui.tags import Words

LIST = 'long_hair,0,4000,"longhair,very_long"\nlong_sleeves,0,9000\nblonde_hair,0,8000\nstar_(sky),0,5\nplain\n\n'


def words(folder: Path, *networks: tuple[str, str]) -> Words:
    (folder / "tags.csv").write_text(LIST, encoding="utf-8")
    return Words(folder, lambda: networks)


def test_more_used_words_come_first_and_contained_ones_last(tmp_path: Path) -> None:
    found = words(tmp_path).suggest("long")
    assert [entry["text"] for entry in found] == ["long sleeves", "long hair"]
    assert [entry["text"] for entry in words(tmp_path).suggest("hair")] == ["blonde hair", "long hair"]
    assert found[0]["about"] == "9,000"


def test_other_spellings_lead_to_the_tag_and_brackets_are_written_so_that_they_are_none(tmp_path: Path) -> None:
    assert [entry["text"] for entry in words(tmp_path).suggest("very long")] == ["long hair"]
    assert [entry["text"] for entry in words(tmp_path).suggest("star")] == [r"star \(sky\)"]


def test_networks_are_suggested_by_the_beginning_of_their_tag(tmp_path: Path) -> None:
    made = words(tmp_path, ("<lora:castle:1>", "Lora"), ("<hypernet:ink:1>", "Hypernetworks"), ("my-word", "Textual"))
    assert [entry["text"] for entry in made.suggest("<lo")] == ["<lora:castle:1>"]
    assert [entry["text"] for entry in made.suggest("my-")] == ["my-word"]


def test_no_folder_no_words(tmp_path: Path) -> None:
    assert Words(tmp_path / "none", tuple).suggest("long") == []
