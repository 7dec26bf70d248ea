"""Styles: put around or appended, in order, by name; files as A1111 writes them and as people leave them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.core.errors import BadRequest, DamagedFile, NotFound
from modules.prompts.styles import Style, StyleBook, merged

TABLE = """name,prompt,negative_prompt
postcard,"a postcard of {prompt}, sunny","dark, {prompt}"
fine,"masterpiece, oil painting","photo, sketch"
clean,,"watermark, text"
# old,never,never
,nameless,
short,only a prompt
"""


@pytest.fixture
def book(tmp_path: Path) -> StyleBook:
    path = tmp_path / "styles.csv"
    path.write_text(TABLE, encoding="utf-8-sig")
    return StyleBook([path])


@given(st.text())
def test_an_empty_style_only_strips(prompt: str) -> None:
    assert merged("", prompt) == prompt.strip()


@given(st.text(), st.text(), st.text())
def test_a_place_is_filled(before: str, prompt: str, after: str) -> None:
    style = f"{before}{{prompt}}{after}"
    assert merged(style, prompt) == style.replace("{prompt}", prompt)


@given(st.text(st.characters(exclude_characters="{"), min_size=1).filter(str.strip), st.text().filter(str.strip))
def test_any_other_style_follows_a_comma(style: str, prompt: str) -> None:
    assert merged(style, prompt) == f"{prompt.strip()}, {style.strip()}"
    assert merged(style, " ") == style.strip()


def test_the_files_of_a1111_are_read(book: StyleBook) -> None:
    assert list(book.read()) == ["postcard", "fine", "clean", "short"]
    assert book.read()["clean"] == Style("clean", "", "watermark, text")
    assert book.read()["short"] == Style("short", "only a prompt", "")


def test_styles_are_applied_in_order(book: StyleBook) -> None:
    assert book.apply(["fine", "postcard"], "a cat", "blurry") == (
        "a postcard of a cat, masterpiece, oil painting, sunny",
        "dark, blurry, photo, sketch",
        [],
    )
    assert book.apply(["postcard", "fine"], "a cat", "")[0] == ("a postcard of a cat, sunny, masterpiece, oil painting")
    assert book.apply([], " a cat ", "") == (" a cat ", "", [])


def test_unknown_styles_are_left_out_and_told(book: StyleBook) -> None:
    prompt, negative, remarks = book.apply(["fin", "None", "", "fin"], "a cat", "")
    assert (prompt, negative) == ("a cat", "")
    assert remarks == ['Style "fin" not found. Did you mean "fine"? It was left out.']


def test_later_files_win_and_changes_count_at_once(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    book = StyleBook([first, second])
    assert book.read() == {}
    first.write_text("name,prompt,negative_prompt\nx,one,\n")
    assert book.read()["x"].prompt == "one"
    second.write_text("name,text\nx,two\n")  # the columns of old files
    assert book.read() == {"x": Style("x", "two", "")}


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    path.write_bytes(b"name,prompt\n\xff\xfe\xfa,x\n")
    with pytest.raises(DamagedFile, match=r"styles\.csv"):
        StyleBook([path]).read()
    assert StyleBook([path]).apply([], "a", "b") == ("a", "b", [])


def test_saved_is_read_again_and_deleted_is_gone(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    second.write_text('name,prompt,negative_prompt\n# a remark,,\nx,"one, two",\n', encoding="utf-8-sig")
    book = StyleBook([first, second])
    book.save(Style("ä", 'with "quotes"\nand lines', "bad"))
    book.save(Style("x", "three"))
    assert first.read_bytes().startswith(b"\xef\xbb\xbfname,prompt,negative_prompt")
    assert book.read() == {"ä": Style("ä", 'with "quotes"\nand lines', "bad"), "x": Style("x", "three")}
    assert "# a remark" in second.read_text("utf-8-sig")
    book.delete("x")
    assert list(book.read()) == ["ä"]
    with pytest.raises(NotFound):
        book.delete("x")


@pytest.mark.parametrize("name", ["", "  ", "None", "#no"])
def test_a_style_needs_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest):
        StyleBook([tmp_path / "a.csv"]).save(Style(name, "x"))
