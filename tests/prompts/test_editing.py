"""Prompt editing: any text parses, a tree and its text are one, schedules end at the last step, results are A1111's."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.editing import HUGE, Alternation, Edit, Timeline, Tree, parse, schedule, subprompts, text_at, write

TEN = Timeline(steps=10)
SECOND = Timeline(steps=10, earlier=10)
PIECES = ["(", ")", "[", "]", "[", "]", ":", "|", "a", " b ", "c\n", ":3]", ":0.5]", ": 2 ]", ":-1]", ":1.3)", "\\"]
GRAMMAR = st.lists(st.sampled_from([*PIECES, r"\(", r"\|", r"\\", "9", "|]", "[a:b:4]", "[x|y]"]), max_size=24).map(
    "".join
)
WORDS = st.sampled_from(["a", "red house", r"\[x\]", "(b:1.2)", "((c))", "[d]", " , ", r"e\:f"])
NUMBERS = st.sampled_from(["3", "0.5", " 7 ", "-1", "1.0", ".25", "1e1", "+2", "12."])


def _joined(parts: list[str | Edit | Alternation]) -> Tree:
    """Neighbouring texts as one, as in a parsed tree."""
    joined: list[str | Edit | Alternation] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        else:
            joined.append(part)
    return tuple(joined)


def _trees(nodes: st.SearchStrategy[str | Edit | Alternation]) -> st.SearchStrategy[Tree]:
    return st.lists(nodes, max_size=4).map(_joined)


def _deeper(nodes: st.SearchStrategy[str | Edit | Alternation]) -> st.SearchStrategy[str | Edit | Alternation]:
    trees = _trees(nodes)
    return st.builds(Edit, st.none() | trees, trees, NUMBERS) | st.builds(
        Alternation, st.lists(trees, min_size=2, max_size=4).map(tuple)
    )


TREES = _trees(st.recursive(WORDS, _deeper, max_leaves=12))


@given(TREES)
def test_a_written_tree_parses_back(tree: Tree) -> None:
    assert parse(write(tree)) == tree


@given(st.text() | GRAMMAR)
def test_any_text_parses_and_writes_itself(text: str) -> None:
    assert write(parse(text)) == text


@given(st.text() | GRAMMAR, st.integers(1, 12), st.none() | st.integers(1, 12), st.booleans())
def test_schedules_rise_to_the_last_step(text: str, steps: int, earlier: int | None, old: bool) -> None:
    timeline = Timeline(steps=steps, earlier=earlier, old=old)
    ends = [end for end, _ in schedule(text, timeline)]
    assert ends == sorted(set(ends))
    assert ends[0] >= 1
    assert ends[-1] == steps


@given(GRAMMAR, st.integers(1, 12))
def test_between_its_ends_a_schedule_does_not_change(text: str, steps: int) -> None:
    timeline = Timeline(steps=steps)
    tree, entries = parse(text), schedule(text, timeline)
    for step in range(1, steps + 1):
        said = next(words for end, words in entries if step <= end)
        assert text_at(tree, step, timeline) == said


@given(st.text(st.characters(exclude_characters="[|\\")))
def test_text_without_square_brackets_never_changes(text: str) -> None:
    assert schedule(text, TEN) == ((10, text),)


@given(st.text(st.characters(exclude_characters="\\[]():|"), max_size=8), st.integers(1, 9))
def test_a_step_is_the_last_of_the_first_text(word: str, step: int) -> None:
    assert schedule(f"[{word}:b:{step}]", TEN) == ((step, word), (10, "b"))
    assert schedule(f"[{word}::{step}]", TEN) == ((step, word), (10, ""))
    assert schedule(f"[{word}:{step}]", TEN) == ((step, ""), (10, word))
    assert schedule(f"[{word}:b:{step / 10}]", Timeline(steps=20))[0] == (int(step / 10 * 20), word)


EXAMPLES = [
    ("test", [(10, "test")]),
    ("a [b:3]", [(3, "a "), (10, "a b")]),
    ("a [[[b]]:2]", [(2, "a "), (10, "a [[b]]")]),
    ("[(a:2):3]", [(3, ""), (10, "(a:2)")]),
    ("a [b : c : 1] d", [(1, "a b  d"), (10, "a  c  d")]),
    ("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")]),
    ("a [unbalanced", [(10, "a [unbalanced")]),
    ("a [b:.5] c", [(5, "a  c"), (10, "a b c")]),
    ("((a][:b:c [d:3]", [(3, "((a][:b:c "), (10, "((a][:b:c d")]),
    ("[a|(b:1.1)]", [(step, "a" if step % 2 else "(b:1.1)") for step in range(1, 11)]),
    ("[fe|]male", [(step, "female" if step % 2 else "male") for step in range(1, 11)]),
    ("[fe|||]male", [(step, "female" if step % 4 == 1 else "male") for step in range(1, 11)]),
    ("[a:b:12]", [(10, "a")]),
    ("[a:b:0]", [(10, "b")]),
    ("[a:b:-3]", [(10, "b")]),
    ("[a:b:1.0]", [(10, "a")]),
    ("[a:b:c:3]", [(10, "[a:b:c:3]")]),  # three texts are none
    ("a | [b:c:3]", [(10, "a | [b:c:3]")]),  # a bar outside: nothing is read
    ("[b:c:3] \\", [(10, "[b:c:3] \\")]),  # nor with a backslash at the end
    (r"[a\:b:c:3]", [(3, r"a\:b"), (10, "c")]),
    ("[a:b:3])", [(3, "a)"), (10, "b)")]),  # by chance this or plain text in A1111
]


@pytest.mark.parametrize(("text", "entries"), EXAMPLES)
def test_examples_of_a1111(text: str, entries: list[tuple[int, str]]) -> None:
    assert list(schedule(text, TEN)) == entries


SECOND_PASS = [
    ("a [b:.5] c", [(10, "a b c")]),
    ("a [b:1.5] c", [(5, "a  c"), (10, "a b c")]),
    ("a [b:3] c", [(10, "a b c")]),
    ("a [b:13] c", [(3, "a  c"), (10, "a b c")]),
]


@pytest.mark.parametrize(("text", "entries"), SECOND_PASS)
def test_numbers_go_on_in_a_second_pass(text: str, entries: list[tuple[int, str]]) -> None:
    assert list(schedule(text, SECOND)) == entries


def test_old_timelines_take_the_value_not_the_point() -> None:
    old = Timeline(steps=10, earlier=10, old=True)
    assert schedule("[a:b:0.5]", old) == ((5, "a"), (10, "b"))
    assert schedule("[a:b:2.0]", old) == ((2, "a"), (10, "b"))
    assert schedule("[a:b:2.0]", TEN) == ((10, "a"),)


SUBPROMPTS = [
    ("a cat", [("a cat", 1.0)]),
    ("", [("", 1.0)]),
    ("a cat :1.2 AND a dog :0.5 AND a garden :-0.3", [("a cat", 1.2), (" a dog", 0.5), (" a garden", -0.3)]),
    ("time 10:30, ratio 16:9", [("time 10:30, ratio 16", 9.0)]),
    ("a BAND and SAND", [("a BAND and SAND", 1.0)]),
    ("a AND ", [("a", 1.0), ("", 1.0)]),
    ("two\nlines : .5\n", [("two\nlines", 0.5)]),
    ("a :1.2.3", [("a :1.2.3", 1.0)]),
    ("a:nan AND b:inf", [("a:nan", 1.0), (" b:inf", 1.0)]),
    (f"a:{'9' * 400}", [("a", HUGE)]),
]


@pytest.mark.parametrize(("text", "parts"), SUBPROMPTS)
def test_and_joins_prompts_with_weights(text: str, parts: list[tuple[str, float]]) -> None:
    assert list(subprompts(text)) == parts


@given(st.text() | GRAMMAR)
def test_any_text_has_a_subprompt_of_finite_weight(text: str) -> None:
    assert subprompts(text)
    assert all(abs(weight) <= HUGE for _, weight in subprompts(text))


ABSURD = {
    "open": "[" * 100_000,
    "choices that never end": "[a|" * 100_000,
    "edits in edits": "[" * 50_000 + "b" + ":3]" * 50_000,
    "choices in choices": "[" * 50_000 + "b" + "|]" * 50_000,
    "brackets in brackets": "(" * 100_000 + "[a:b:3]" + ")" * 100_000,
    "colons": "[" + ":" * 100_000 + "]",
    "bars": "[" + "|" * 100_000 + "]",
    "backslashes": "[a:b:3]" + "\\" * 100_001,
    "blanks": "a" + " " * 100_000 + ":1",
    "number": f"[a:b:{'9' * 100_000}]",
    "ands": "AND " * 50_000,
}


@pytest.mark.parametrize("text", ABSURD.values(), ids=ABSURD.keys())
def test_absurd_prompts_take_linear_time(text: str) -> None:
    started = time.monotonic()
    assert write(parse(text)) == text
    assert schedule(text, TEN)[-1][0] == 10
    assert subprompts(text)
    assert time.monotonic() - started < 30  # in quadratic time, minutes
