"""modules.jobs.history: what was added is found again, newest first, by any of its words."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.core.store import Store
from modules.jobs.history import History, Picture

CAT = Picture(
    job_id="job-1",
    path="/outputs/00001-1.png",
    infotext="a Cat, 100% fluffy\nSteps: 20, Sampler: Euler a, Seed: 1",
    seed=1,
    width=512,
    height=768,
    model="v1-5_pruned",
    created=10.0,
)
DOG = Picture(job_id="job-2", path="/outputs/00002-2.png", infotext="a dog", seed=2, width=64, height=64, created=20.0)
GRID = dataclasses.replace(CAT, kind="grid", path="/outputs/grid-0001.png", seed=None)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    store = Store(tmp_path / "easel.sqlite")
    yield History(store)
    store.close()


def test_latest_gives_back_what_was_added_newest_first(history: History) -> None:
    history.add([CAT, GRID])
    history.add([DOG])
    assert history.latest() == [DOG, GRID, CAT]
    assert history.latest(1) == [DOG]
    assert history.of_job("job-1") == [GRID, CAT]


STORABLE = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


@given(text=STORABLE, seed=st.integers(-1, 2**64 - 1))
@settings(max_examples=20, deadline=None)
def test_a_picture_is_found_by_every_word_of_its_infotext(text: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "easel.sqlite")
        history = History(store)
        picture = dataclasses.replace(CAT, infotext=text, seed=seed)
        history.add([picture])
        assert history.search(text) == [picture]
        assert all(history.search(word) == [picture] for word in text.split())
        store.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [DOG, CAT]),
        ("cat", [CAT]),
        ("CAT fluffy", [CAT]),
        ("cat dog", []),
        ("100%", [CAT]),
        ("1%0", []),
        ("v1-5_pruned", [CAT]),
        ("v1-5xpruned", []),
        ("v1_5", []),
        ("00002", [DOG]),
        ("'; DROP TABLE pictures", []),
    ],
)
def test_search_takes_words_literally_in_any_case(history: History, text: str, found: list[Picture]) -> None:
    history.add([CAT, DOG])
    assert history.search(text) == found


def test_a_text_that_no_file_can_hold_does_not_lose_the_picture(history: History) -> None:
    history.add([dataclasses.replace(DOG, infotext="odd \ud800")])
    assert history.latest()[0].infotext == "odd ?"


def test_all_are_added_or_none(history: History) -> None:
    with pytest.raises(Exception, match="NOT NULL"):
        history.add([CAT, dataclasses.replace(DOG, width=None)])
    assert history.latest() == []
