"""What is written is what is varied: lists come back as they were joined, ranges hold A1111's numbers."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.generate.scripts import values

WORDS = st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=12).map(str.strip).filter(bool)


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8))
def test_what_is_joined_is_split_again(words: list[str]) -> None:
    assert values.split(values.join(words)) == words


@settings(deadline=None)
@given(st.integers(-50, 50), st.integers(0, 40), st.integers(1, 7))
def test_a_whole_range_steps_from_its_beginning_up_to_its_end(start: int, length: int, step: int) -> None:
    found = values.expand([f"{start} - {start + length} (+{step})"], "int")
    assert found[0] == start
    assert found[-1] <= start + length < found[-1] + step
    assert all(after - before == step for before, after in itertools.pairwise(found))


@settings(deadline=None)
@given(st.integers(-50, 50), st.integers(1, 40), st.integers(2, 9))
def test_a_counted_range_has_its_count_and_both_ends(start: int, length: int, count: int) -> None:
    found = values.expand([f"{start}-{start + length} [{count}]"], "float")
    assert len(found) == count
    assert (found[0], found[-1]) == pytest.approx((start, start + length))


@pytest.mark.parametrize(
    ("written", "kind", "expected"),
    [
        ("1-5", "int", [1, 2, 3, 4, 5]),
        ("1-5 (+2)", "int", [1, 3, 5]),
        ("10-5 (-3)", "int", [10, 7]),
        ("1-10 [5]", "int", [1, 3, 5, 7, 10]),
        ("1, 3-4, 9", "int", [1, 3, 4, 9]),
        ("-1", "int", [-1]),
        ("- 3 - -1", "int", [-3, -2, -1]),
        ("1,,2,", "int", [1, 2]),
        ("", "int", []),
        ("", "text", []),
        ("7.5", "float", [7.5]),
        ("0-1 (+0.25)", "float", [0, 0.25, 0.5, 0.75, 1]),
        ("0.5-2", "float", [0.5, 1.5, 2.5]),  # A1111's arithmetic: one step beyond
        ("0-1 [3]", "float", [0, 0.5, 1]),
        ("1-10 [4]", "float", [1, 4, 7, 10]),
        ("cat, dog", "text", ["cat", "dog"]),
        ('cat, "a dog, big", "say ""hi"""', "text", ["cat", "a dog, big", 'say "hi"']),
        ("one\ntwo, three", "text", ["one", "two", "three"]),
    ],
)
def test_examples(written: str, kind: values.Kind, expected: list[object]) -> None:
    assert values.expand(values.split(written), kind) == pytest.approx(expected)


def test_a_permutation_axis_has_every_order() -> None:
    assert values.expand(["a", "b", "c"], "permutation") == [
        ("a", "b", "c"),
        ("a", "c", "b"),
        ("b", "a", "c"),
        ("b", "c", "a"),
        ("c", "a", "b"),
        ("c", "b", "a"),
    ]


@pytest.mark.parametrize(
    ("written", "kind", "part"),
    [
        ("many", "int", '"many"'),
        ("1.5", "int", '"1.5"'),
        ("7 apples", "float", '"7 apples"'),
        ("nan", "float", "nan"),
        ("1-5 (+0)", "int", "step is 0"),
        ("1-999999999", "int", "more than"),
        ("1-5 [999999999]", "float", "more than"),
        ("99999999999999999999999", "int", "too large"),
        ("a,b,c,d,e,f,g,h,i,j", "permutation", "too many orders"),
    ],
)
def test_what_cannot_be_read_is_named(written: str, kind: values.Kind, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        values.expand(values.split(written), kind)
