"""Emphasis: any text parses, weights multiply, and the results are A1111's."""

from __future__ import annotations

import itertools
import math
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.emphasis import BREAK, parse

PLAIN = st.text(st.characters(exclude_characters="\\()[]:")).filter(lambda text: BREAK not in text)
MARKS = ["(", ")", "[", "]", ":", "\\", "1.3)", ":1.3)", ":-0.5)", ": 2 )", ":0)"]
GRAMMAR = st.lists(st.sampled_from([*MARKS, "a", " b ", "BREAK", " BREAK\n", "é", "_"]), max_size=24).map("".join)
EXAMPLES = [
    ("normal text", [("normal text", 1.0)]),
    ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
    ("(unbalanced", [("unbalanced", 1.1)]),
    (r"\(literal\]", [("(literal]", 1.0)]),
    ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
    (
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        [
            ("a ", 1.0),
            ("house", 1.5730000000000004),
            (" ", 1.1),
            ("on", 1.0),
            (" a ", 1.1),
            ("hill", 0.55),
            (", sun, ", 1.1),
            ("sky", 1.4641000000000006),
            (".", 1.1),
        ],
    ),
    ("", [("", 1.0)]),
    ("(red:-0.5)", [("red", -0.5)]),
    ("(red house : 1.4)", [("red house ", 1.4)]),
    ("[x:0.5]", [("x:0.5", 1 / 1.1)]),
    ("a) b] c:1.2)", [("a) b] c:1.2)", 1.0)]),
    ("a BREAK  b", [("a", 1.0), (BREAK, -1.0), ("b", 1.0)]),
    ("a BREAKFAST", [("a BREAKFAST", 1.0)]),
    ("(a BREAK b)", [("a", 1.1), (BREAK, -1.1), ("b", 1.1)]),
    ("(x:1.2.3)", [("x:1.2.3", 1.1)]),
    (r"back\slash \\ end\ ".rstrip(), [(r"backslash \ end", 1.0)]),
]


@pytest.mark.parametrize(("text", "pieces"), EXAMPLES)
def test_examples_of_a1111(text: str, pieces: list[tuple[str, float]]) -> None:
    assert parse(text) == pieces


@given(st.text())
def test_any_text_parses_to_finite_weights(text: str) -> None:
    pieces = parse(text)
    assert pieces
    assert all(math.isfinite(weight) for _, weight in pieces)
    assert all(left != right for (_, left), (_, right) in itertools.pairwise(pieces))


@given(PLAIN)
def test_plain_text_comes_back_as_itself(text: str) -> None:
    assert parse(text) == [(text, 1.0)]


@given(st.text().filter(lambda text: BREAK not in text))
def test_escaped_text_comes_back_as_itself(text: str) -> None:
    assert parse(re.sub(r"([\\()\[\]])", r"\\\1", text)) == [(text, 1.0)]


@given(st.floats(-9, 9).map(lambda weight: round(weight, 3)), st.integers(0, 8), st.integers(0, 8))
def test_nested_weights_multiply(weight: float, more: int, less: int) -> None:
    ((text, found),) = parse("(" * more + "[" * less + f"(x:{weight})" + "]" * less + ")" * more)
    assert text == "x"
    assert found == pytest.approx(weight * 1.1**more / 1.1**less)


@given(GRAMMAR)
def test_weights_equal_those_of_the_slow_definition(text: str) -> None:
    """To the last bit, and with the same joining of neighbours."""
    assert parse(text) == slow(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 40_000,
        "(a" * 20_000,
        "[a(b" * 10_000 + "])" * 10_000,
        ":" * 40_000,
        ": 1" * 20_000,
        ":" + " " * 40_000 + "x",
        ":" + "1" * 40_000,
        " " * 40_000 + "BREAK" + " " * 40_000,
        "\\" * 40_000,
        "(x:" + "9" * 5000 + ")" + "[" * 20_000 + "(y:0)",
    ],
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    """Each takes about 0.1 s; anything quadratic would take minutes."""
    start = time.perf_counter()
    pieces = parse(text)
    assert time.perf_counter() - start < 3
    assert all(math.isfinite(weight) for _, weight in pieces)


@pytest.mark.parametrize("depth", [10, 64, 65, 200])
def test_deep_nesting_still_multiplies(depth: int) -> None:
    ((_, weight),) = parse("(" * depth + "x" + ")" * depth)
    assert weight == pytest.approx(1.1**depth)


TOKEN = re.compile(r"(?P<escape>\\[()\[\]\\]?)|(?P<weight>:\s*[+-]?[.\d]+\s*\))|(?P<words>[^\\()\[\]:]+)|.", re.S)


def slow(text: str) -> list[tuple[str, float]]:
    """The grammar by its definition: each closing bracket multiplies everything since its opening one."""
    pieces: list[list[object]] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def close(bracket: str, factor: float) -> None:
        for piece in pieces[opened[bracket].pop() :]:
            piece[1] = float(piece[1]) * factor

    for token in TOKEN.finditer(text):
        found = token[0]
        if token["escape"]:
            pieces.append([found[1:], 1.0])
        elif found in opened:
            opened[found].append(len(pieces))
        elif token["weight"] and opened["("]:
            close("(", float(found[1:-1]))
        elif found == ")" and opened["("]:
            close("(", 1.1)
        elif found == "]" and opened["["]:
            close("[", 1 / 1.1)
        else:
            for index, part in enumerate(re.split(r"\s*\bBREAK\b\s*", found)):
                pieces.extend([[BREAK, -1.0]] if index else [])
                pieces.append([part, 1.0])
    for bracket, factor in (("(", 1.1), ("[", 1 / 1.1)):
        while opened[bracket]:
            close(bracket, factor)
    joined: list[tuple[str, float]] = []
    for part, weight in pieces or [["", 1.0]]:
        if joined and joined[-1][1] == weight:
            joined[-1] = (f"{joined[-1][0]}{part}", weight)
        else:
            joined.append((part, weight))
    return joined
