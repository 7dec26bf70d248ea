"""Questions are about pairs never trained on; a perfect reading passes every check, a wrong one fails its own."""

from __future__ import annotations

import dataclasses

from modules.evaluation.adherence import Question, painted, questions, shares
from modules.evaluation.reader import Reading
from modules.training.painter.places import PLACES
from modules.training.painter.scene import held_out, unseen


def perfect(question: Question) -> Reading:
    thing = question.scene.things[0]
    x, y = PLACES[thing.place][1]
    return Reading(
        kind=thing.kind,
        colour=thing.colour,
        count=thing.count,
        ground=question.scene.ground,
        time=question.scene.time,
        style=question.scene.style,
        x=x,
        y=y,
        radius=thing.radius,
    )


def test_every_question_is_about_an_unseen_pair_and_no_two_are_alike() -> None:
    asked = questions(200)
    assert all(held_out(each.scene.things[0].kind, each.scene.things[0].colour) for each in asked)
    assert {(each.scene.things[0].kind, each.scene.things[0].colour) for each in asked} == set(unseen())
    assert len({each.prompt for each in asked}) > 190
    assert len({each.scene for each in asked}) == 200
    assert {each.scene.things[0].place for each in asked} == set(PLACES)


def test_questions_follow_from_the_seed() -> None:
    assert questions(10) == questions(10)
    assert questions(10) != questions(10, seed=1)


def test_a_perfect_reading_passes_everything() -> None:
    asked = questions(60)
    assert set(shares(asked, [perfect(each) for each in asked]).values()) == {1.0}


def test_a_wrong_colour_fails_colour_alone() -> None:
    asked = questions(40)
    readings = [perfect(each) for each in asked]
    readings[:10] = [dataclasses.replace(each, colour="none") for each in readings[:10]]
    found = shares(asked, readings)
    assert found["colour"] == found["object and colour"] == 0.75
    assert found["object"] == found["position"] == found["count"] == 1.0


def test_the_painters_own_pictures_are_the_comparison() -> None:
    pictures = painted(questions(3), 32)
    assert pictures.shape == (3, 32, 32, 3)
    assert pictures.float().std() > 10
