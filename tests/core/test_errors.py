"""modules.core.errors: a message names the thing and offers the way out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.core import errors
from modules.core.errors import BadRequest, EaselError, Interrupted, NotFound, unknown

SAMPLERS = ["Euler", "Euler a", "DPM++ 2M", "DDIM", "LMS", "Heun"]


@given(st.text(max_size=20), st.lists(st.text(max_size=10), max_size=15))
@settings(deadline=None)
def test_the_message_always_has_kind_and_name(name: str, known: list[str]) -> None:
    assert unknown("Sampler", name, known).startswith(f'Sampler "{name}" not found.')


@given(st.sampled_from(SAMPLERS))
@settings(deadline=None)
def test_a_name_in_another_case_is_offered_as_it_is_written(name: str) -> None:
    assert f'"{name}"' in unknown("Sampler", name.swapcase(), SAMPLERS).split("Did you mean", 1)[1]


def test_the_nearest_names_are_offered() -> None:
    assert unknown("Sampler", "eular", SAMPLERS) == 'Sampler "eular" not found. Did you mean "Euler" or "Euler a"?'


def test_without_a_near_name_the_first_known_ones_are() -> None:
    assert unknown("Sampler", "zzz", ["one", "two"]) == 'Sampler "zzz" not found. Known: one, two.'
    many = unknown("Model", "zzz", [f"model {index}" for index in range(20)])
    assert many.endswith("model 11, ….")


def test_with_nothing_known_only_the_hint_follows() -> None:
    assert unknown("VAE", "x", [], "Put it in models/VAE.") == 'VAE "x" not found. Put it in models/VAE.'


def test_not_found_knows_what_was_asked() -> None:
    error = NotFound("Sampler", "eular", iter(SAMPLERS), field="sampler_name", hint="See /samplers.")
    assert (error.kind, error.name, error.field) == ("Sampler", "eular", "sampler_name")
    assert str(error).endswith('"Euler a"? See /samplers.')


def test_a_bad_request_carries_its_field() -> None:
    assert BadRequest("steps must be 1 or more.", field="steps").field == "steps"
    assert BadRequest("Nothing to do.").field == ""
    assert str(BadRequest("steps must be 1 or more.", field="steps")) == "steps must be 1 or more."


@pytest.mark.parametrize("name", ["BadRequest", "NotFound", "DamagedFile", "NoCheckpoint"])
def test_what_a_person_can_act_on_is_an_easel_error(name: str) -> None:
    assert issubclass(getattr(errors, name), EaselError)


def test_an_interrupt_is_no_error() -> None:
    assert not issubclass(Interrupted, EaselError)


def test_a_name_of_a_megabyte_is_no_message_of_a_megabyte() -> None:
    assert unknown("Sampler", "a" * 10**6, SAMPLERS).startswith('Sampler "' + "a" * 200 + '…" not found.')
    assert len(unknown("Sampler", "a" * 10**6, SAMPLERS)) < 500
