"""Laws of a pass's course: a second pass is like the first unless told otherwise; only what was changed is noted."""

from __future__ import annotations

from typing import Any

import pytest

from modules.core.errors import NotFound
from modules.generate import course
from modules.generate.course import SCHEDULE, Course
from modules.generate.request import Txt2Img
from modules.samplers.catalog import builtin
from modules.settings.builtin import registry
from modules.settings.options import Snapshot

CATALOG = builtin()
OPTIONS = Snapshot(registry())


def first(changes: dict[str, Any] | None = None, **fields: Any) -> Course:
    return course.planned(Txt2Img(**fields), OPTIONS.overlay(changes or {}), CATALOG)


def second(before: Course, **fields: Any) -> Course:
    return course.planned(
        Txt2Img(**fields),
        OPTIONS,
        CATALOG,
        after=before,
        sampler_field="hr_sampler_name",
        scheduler_field="hr_scheduler",
        over_picture=True,
    )


@pytest.mark.parametrize("name", [row.name for row in CATALOG.samplers()])
def test_a_second_pass_that_asks_for_nothing_is_like_the_first(name: str) -> None:
    before = first(sampler_name=name)
    after = second(before)
    assert (after.sampler, after.scheduler, after.parameters) == (before.sampler, before.scheduler, before.parameters)
    assert (after.guidance, after.notes) == (before.guidance, before.notes)


def test_automatic_means_what_each_sampler_prefers() -> None:
    before = first(sampler_name="DPM++ 2M")
    assert before.label == "Karras"
    assert second(before, hr_sampler_name="Euler").label == "Automatic"
    assert second(first(scheduler="Karras"), hr_sampler_name="Euler a").label == "Karras"


def test_old_joined_names_bring_their_schedule_along() -> None:
    assert first(sampler_name="DPM++ 2M SDE Exponential").label == "Exponential"
    assert second(first(), hr_sampler_name="Euler Karras", hr_scheduler="Simple").label == "Karras"


def test_a_schedule_is_told_only_where_it_makes_a_difference() -> None:
    assert first(scheduler="Karras").notes == {SCHEDULE: "Karras"}
    assert SCHEDULE not in first().notes
    assert SCHEDULE not in first(sampler_name="DDIM", scheduler="Karras").notes


def test_changed_options_win_over_the_request_and_are_told() -> None:
    asked = {"sampler_name": "Euler", "s_churn": 0.5}
    assert (first(**asked).parameters["s_churn"], first(**asked).notes) == (0.5, {})
    changed = first({"s_churn": 2.0}, **asked)
    assert (changed.parameters["s_churn"], changed.notes) == (2.0, {"Sigma churn": 2.0})


def test_extra_noise_is_only_for_pictures() -> None:
    options = OPTIONS.overlay({"img2img_extra_noise": 0.2})
    assert course.planned(Txt2Img(), options, CATALOG).notes == {}
    assert course.planned(Txt2Img(), options, CATALOG, over_picture=True).notes == {"Extra noise": 0.2}


def test_notes_come_in_a1111s_order() -> None:
    """It works out the schedule, makes the noise, then looks at what the sampler takes."""
    changes = {
        "always_discard_next_to_last_sigma": True,
        "sigma_min": 0.1,
        "sgm_noise_multiplier": True,
        "s_churn": 1.0,
    }
    told = [*first(changes, sampler_name="Euler", scheduler="Karras").notes]
    assert told == [
        "Discard penultimate sigma",
        SCHEDULE,
        "Schedule min sigma",
        "SGM noise multiplier",
        "Sigma churn",
    ]


@pytest.mark.parametrize("field", ["hr_sampler_name", "hr_scheduler"])
def test_unknown_names_are_told_with_their_field(field: str) -> None:
    with pytest.raises(NotFound, match='"no such" not found') as raised:
        second(first(), **{field: "no such"})
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("name", "told"), [("Euler a", False), ("DPM adaptive", False), ("Restart", False), ("DPM2 a", True)]
)
def test_a_noise_strength_is_for_the_samplers_that_a1111_hands_it_to(name: str, told: bool) -> None:
    planned = first({"s_noise": 1.1}, sampler_name=name, s_noise=1.2)
    assert ("s_noise" in planned.parameters, "Sigma noise" in planned.notes) == (told, told)
