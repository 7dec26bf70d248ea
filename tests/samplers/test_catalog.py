"""Names: every spelling that A1111's users and clients have finds its row; wrong ones are answered with the nearest."""

from __future__ import annotations

import json

import pytest

from modules.core.errors import NotFound
from modules.samplers.catalog import Sampler, Scheduler, builtin
from tests.reference.cases import SHARED

CATALOG = builtin()


@pytest.mark.parametrize("row", CATALOG.samplers(), ids=lambda row: row.name)
def test_every_spelling_finds_its_sampler(row: Sampler) -> None:
    for spelling in (row.name, *row.aliases):
        for variant in (spelling, spelling.lower(), spelling.upper(), f" {spelling} "):
            assert CATALOG.find_sampler(variant) == (row, None)


@pytest.mark.parametrize("row", CATALOG.schedulers(), ids=lambda row: row.name)
def test_every_spelling_finds_its_scheduler(row: Scheduler) -> None:
    for spelling in (row.name, row.label, *(row.aliases or ())):
        assert CATALOG.find_scheduler(spelling.upper()) == row


@pytest.mark.parametrize(
    ("old", "sampler", "scheduler"),
    [
        ("DPM++ 2M Karras", "DPM++ 2M", "karras"),
        ("euler a exponential", "Euler a", "exponential"),
        ("k_dpmpp_2m_ka", "DPM++ 2M", "karras"),
        ("Euler a SGMUniform", "Euler a", "sgm_uniform"),
        ("LMS kl_optimal", "LMS", "kl_optimal"),
    ],
)
def test_old_joined_names(old: str, sampler: str, scheduler: str) -> None:
    row, schedule = CATALOG.find_sampler(old)
    assert schedule is not None
    assert (row.name, schedule.name) == (sampler, scheduler)


def test_wrong_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(NotFound, match=r'"Eular" not found.*"Euler"') as caught:
        CATALOG.find_sampler("Eular")
    assert caught.value.field == "sampler_name"
    with pytest.raises(NotFound, match="Karras"):
        CATALOG.find_scheduler("karas")


def test_rows_are_added_and_taken_out_again() -> None:
    catalog = builtin()
    names = [row.name for row in catalog.samplers()]
    remove = catalog.add_sampler(Sampler(name="Mine", function="modules.samplers.euler:euler"))
    assert catalog.find_sampler("mine")[0].name == "Mine"
    with pytest.raises(ValueError, match="taken"):
        catalog.add_sampler(Sampler(name="MINE", function="modules.samplers.euler:euler"))
    remove()
    assert [row.name for row in catalog.samplers()] == names
    remove = catalog.add_scheduler(Scheduler(name="flat", label="Flat", function=None))
    remove()
    with pytest.raises(NotFound):
        catalog.find_scheduler("flat")


def test_every_function_exists() -> None:
    for row in CATALOG.samplers():
        assert callable(row.run)


@pytest.mark.reference
def test_rows_are_a1111s() -> None:
    """Names, aliases and options equal A1111's own answers, in its order."""
    if not SHARED.exists():
        pytest.skip("shared/reference is absent")
    theirs = json.loads((SHARED / "get" / "samplers.json").read_text(encoding="utf-8"))
    ours = [
        {"name": row.name, "aliases": list(row.aliases), "options": dict(row.options)} for row in CATALOG.samplers()
    ]
    assert ours[: len(theirs)] == theirs
    schedulers = json.loads((SHARED / "get" / "schedulers.json").read_text(encoding="utf-8"))
    for row, match in zip(CATALOG.schedulers(), schedulers, strict=False):
        assert row.name == match["name"]
        assert (row.label, row.aliases and list(row.aliases), row.default_rho, row.need_inner_model) == (
            match["label"],
            match["aliases"],
            match["default_rho"],
            match["need_inner_model"],
        )
