"""Laws of chunks: 77 tokens each, nothing lost, nothing doubled, weights stay with their tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts import tokens
from modules.prompts.chunks import CHUNK, Chunk, TextPolicy, Word, Words, chunked, counted

PLAIN = TextPolicy(emphasis="None")
words = st.lists(st.sampled_from(["cat", "red", "house", ",", "garden", "extraordinary"]), max_size=200)


def content(chunks: list[Chunk]) -> list[int]:
    """All ids but frames and filling."""
    return [id for chunk in chunks for id in chunk.ids if id not in (tokens.START, tokens.END)]


@given(words, st.integers(0, 74))
def test_no_token_is_lost_or_moved_out_of_order(text: list[str], backtrack: int) -> None:
    prompt = " ".join(text)
    chunks, _ = chunked(prompt, TextPolicy(emphasis="None", backtrack=backtrack))
    assert content(chunks) == tokens.encode(prompt)
    for chunk in chunks:
        assert len(chunk.ids) == len(chunk.weights) == CHUNK + 2
        assert (chunk.ids[0], chunk.ids[-1]) == (tokens.START, tokens.END)


@given(st.text(max_size=300))
def test_any_text_is_cut(text: str) -> None:
    count, capacity = counted(text, TextPolicy())
    assert capacity % CHUNK == 0
    assert 0 <= count <= capacity


def test_an_empty_prompt_is_one_empty_chunk() -> None:
    chunks, count = chunked("", TextPolicy())
    assert len(chunks) == 1
    assert count == 0
    assert counted("", TextPolicy()) == (0, 75)


@pytest.mark.parametrize(("words_", "capacity"), [(75, 75), (76, 150), (151, 225)])
def test_capacity_grows_by_whole_chunks(words_: int, capacity: int) -> None:
    assert counted("cat " * words_, PLAIN) == (words_, capacity)


def test_weights_stay_with_their_tokens() -> None:
    (chunk,), _ = chunked("a (red:1.3) house", TextPolicy())
    assert chunk.weights[1:4] == [1.0, 1.3, 1.0]
    assert set(chunk.weights[4:]) == {1.0}


def test_a_break_starts_a_chunk_and_fills_the_last() -> None:
    chunks, count = chunked("red BREAK green", TextPolicy())
    assert [len(content([chunk])) for chunk in chunks] == [1, 1]
    assert count == CHUNK + 1


def test_a_comma_nearby_moves_the_phrase_to_the_next_chunk() -> None:
    prompt = "cat " * 70 + ", " + "red " * 10
    moved, _ = chunked(prompt, TextPolicy(emphasis="None", backtrack=20))
    cut, _ = chunked(prompt, TextPolicy(emphasis="None", backtrack=0))
    far, _ = chunked(prompt, TextPolicy(emphasis="None", backtrack=3))
    assert len(content(moved[:1])) == 71
    assert len(content(cut[:1])) == len(content(far[:1])) == 75


@pytest.mark.parametrize("mode", ["Original", "No norm", "Ignore"])
def test_brackets_are_grammar_in_every_mode_but_none(mode: str) -> None:
    (read,), _ = chunked("((red))", TextPolicy(emphasis=mode))
    (literal,), _ = chunked("((red))", PLAIN)
    assert content([read]) == tokens.encode("red")
    assert content([literal]) == tokens.encode("((red))")


CAT = tuple(tokens.encode("cat"))
RED_CAT = tuple(tokens.encode("red cat"))


@given(words, st.integers(1, 75), st.integers(0, 74))
def test_words_of_ones_own_are_never_cut(text: list[str], size: int, backtrack: int) -> None:
    """Each takes its size in places within one chunk, and all others keep their order."""
    prompt = " ".join(text)
    own = Words([Word("cat", CAT, size)])
    chunks, count = chunked(prompt, TextPolicy(emphasis="None", backtrack=backtrack, carries=True), own)
    placed = [(chunk, place) for chunk in chunks for place, _ in chunk.words]
    assert len(placed) == text.count("cat")
    assert all(
        1 <= place <= CHUNK + 1 - size and chunk.ids[place : place + size] == [0] * size for chunk, place in placed
    )
    assert all(len(chunk.ids) == len(chunk.weights) == CHUNK + 2 for chunk in chunks)
    assert [id for id in content(chunks) if id] == [id for id in tokens.encode(prompt) if (id,) != CAT]
    assert count <= len(chunks) * CHUNK


def test_a_phrase_that_moves_leaves_its_words_behind_as_in_a1111_or_takes_them_along() -> None:
    """A1111 moves the places and not what stands there: the next chunk has token 0 in them, "!"."""
    own, prompt = Words([Word("cat", CAT, 3)]), "red " * 70 + ", cat red red"
    for carries, holder in ((False, 0), (True, 1)):
        chunks, count = chunked(prompt, TextPolicy(carries=carries), own)
        assert [chunk.ids[1:76].count(0) for chunk in chunks] == [0, 3]
        assert [len(chunk.words) for chunk in chunks] == [1 - holder, holder]
        ((place, word),) = chunks[holder].words
        assert (place, word.size) == ((72, 3) if holder == 0 else (1, 3))
        assert count == 75 + 5


def test_the_longest_word_wins_whatever_its_case() -> None:
    own = Words([Word("cat", CAT, 1), Word("red cat", RED_CAT, 4)])
    (chunk,), count = chunked("a RED CAT, (cat:1.2)", TextPolicy(), own)
    assert [(place, word.name) for place, word in chunk.words] == [(2, "red cat"), (7, "cat")]
    assert count == 7
    assert chunk.weights[7] == 1.2


def test_words_of_no_size_or_of_more_than_a_chunk_are_no_words() -> None:
    own = Words([Word("cat", CAT, CHUNK + 1), Word("red cat", RED_CAT, 0), Word("", (), 1)])
    assert chunked("a red cat", TextPolicy(), own) == chunked("a red cat", TextPolicy())


OLD = TextPolicy(old=True)


@given(words)
def test_the_old_way_cuts_off_after_one_chunk(text: list[str]) -> None:
    prompt = " ".join(text)
    (chunk,), count = chunked(prompt, OLD)
    assert content([chunk]) == tokens.encode(prompt)[:CHUNK]
    assert count == len(tokens.encode(prompt))
    assert set(chunk.weights) == {1.0}
    assert len(chunk.ids) == CHUNK + 2


def test_the_old_way_weighs_by_bracket_tokens_and_reads_numbers_as_text() -> None:
    (chunk,), count = chunked("a ((cat)) [red] house", OLD)
    assert content([chunk]) == tokens.encode("a cat red house")
    assert chunk.weights[1:5] == pytest.approx([1.0, 1.21, 1 / 1.1, 1.0])
    assert count == 4
    (chunk,), _ = chunked("(cat:1.3)", OLD)
    assert content([chunk]) == tokens.encode("cat:1.3")
    (chunk,), _ = chunked("(cat)", TextPolicy(old=True, emphasis="None"))
    assert content([chunk]) == tokens.encode("(cat)")


def test_the_old_way_knows_words_of_ones_own() -> None:
    (chunk,), count = chunked("a (cat) house", OLD, Words([Word("cat", CAT, 3)]))
    assert [(place, word.name) for place, word in chunk.words] == [(2, "cat")]
    assert chunk.weights[2:5] == pytest.approx([1.1] * 3)
    assert count == 5
