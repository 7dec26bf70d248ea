"""modules.jobs.progress: the fraction as A1111 counts, the ETA by the mean step, flags, previews, whole records."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.jobs.progress import WATCH_SECONDS, Control


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def control(clock: Clock) -> Control:
    return Control("job", started=1000.0, clock=clock)


@given(st.integers(1, 5), st.integers(1, 30))
@settings(deadline=None)
def test_the_fraction_grows_from_0_to_1_by_equal_steps(batches: int, steps: int) -> None:
    control = Control("job")
    control.begin(batches=batches, steps=steps)
    fractions = [control.progress.fraction]
    for batch in range(batches):
        control.batch(batch)
        for step in range(steps):
            control.step(step + 1)
            fractions.append(control.progress.fraction)
    assert fractions == pytest.approx([index / (batches * steps) for index in range(batches * steps + 1)])


@given(st.integers(-1, 3), st.integers(0, 3), st.integers(-2, 9), st.integers(-2, 9))
@settings(deadline=None)
def test_the_fraction_stays_within_0_and_1_whatever_comes(batches: int, steps: int, batch: int, step: int) -> None:
    control = Control("job")
    control.begin(batches=batches, steps=steps)
    control.batch(batch)
    control.step(step)
    assert 0 <= control.progress.fraction <= 1


@given(st.integers(1, 40), st.floats(0.01, 100))
@settings(deadline=None)
def test_with_even_steps_the_eta_is_the_time_that_is_left(steps: int, seconds: float) -> None:
    clock = Clock()
    control = Control("job", clock=clock)
    clock.now += 1000  # loading does not count
    control.begin(batches=1, steps=steps)
    control.batch(0)
    for done in range(1, steps + 1):
        clock.now += seconds
        control.step(done)
        assert control.progress.eta == pytest.approx((steps - done) * seconds, abs=1e-6 * seconds * steps)


def test_the_eta_is_unknown_before_the_first_step_and_counts_down_between_steps(control: Control, clock: Clock) -> None:
    control.begin(batches=1, steps=4)
    assert control.progress.eta is None
    clock.now += 10
    control.step(1)
    assert control.progress.eta == pytest.approx(30)
    clock.now += 4
    assert control.progress.eta == pytest.approx(26)
    control.text("still here")
    assert control.progress.eta == pytest.approx(26)
    clock.now += 100
    assert control.progress.eta == 0


def test_a_record_never_changes_after_it_was_read(control: Control) -> None:
    control.begin(batches=2, steps=10)
    before = control.progress
    control.batch(1)
    control.step(5)
    control.text("Decoding")
    after = control.progress
    assert (before.batch, before.step, before.text, before.fraction) == (0, 0, "", 0)
    assert (after.batch, after.step, after.text, after.fraction) == (1, 5, "Decoding", 0.75)
    assert (after.job_id, after.started, after.state) == ("job", 1000.0, "running")


def test_skip_ends_with_its_batch_and_interrupt_stays(control: Control) -> None:
    control.begin(batches=2, steps=2)
    control.batch(0)
    control.skip()
    control.interrupt()
    assert (control.skipped, control.interrupted) == (True, True)
    assert (control.progress.skipped, control.progress.interrupted) == (True, True)
    control.step(2)
    assert control.skipped
    control.batch(1)
    assert (control.skipped, control.interrupted) == (False, True)


def test_previews_count_up_and_hold_their_picture(control: Control) -> None:
    assert control.progress.preview is None
    for number in (1, 2, 3):
        image = Image.new("RGB", (8, 8), (number, 0, 0))
        control.preview(image)
        preview = control.progress.preview
        assert preview is not None
        assert (preview.id, preview.image) == (number, image)


def test_watched_only_for_some_seconds_after_a_look(control: Control, clock: Clock) -> None:
    assert not control.watched()
    control.watch()
    clock.now += WATCH_SECONDS - 0.1
    assert control.watched()
    clock.now += 0.2
    assert not control.watched()


def test_flags_set_by_others_are_not_lost_while_the_runner_reports() -> None:
    for _ in range(30):
        control = Control("job")
        control.begin(batches=1, steps=100)
        stop = threading.Thread(target=control.interrupt)
        stop.start()
        for step in range(100):
            control.step(step + 1)
        stop.join()
        assert control.interrupted
        assert control.progress.step == 100
