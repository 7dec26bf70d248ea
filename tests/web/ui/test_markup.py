"""The page's HTML: nothing from outside becomes a tag, and numbers are said as people say them."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modules.jobs.progress import Progress
from modules.web.ui import markup

TAG = re.compile(r"<[^>]*>")


@given(st.text(max_size=80))
def test_text_is_shown_as_it_is_and_never_becomes_a_tag(text: str) -> None:
    """What remains without our tags is the text, unescaped."""
    for made in (markup.error(text), markup.note(text)):
        assert html.unescape(TAG.sub("", made.replace("<br>", "\n"))) == text


@given(st.text("<>&\"'ab\n", min_size=1, max_size=40))
def test_the_copy_button_holds_the_very_text(text: str) -> None:
    found = re.search(r'data-copy="([^"]*)"', markup.infotext(text))
    assert found is not None
    assert html.unescape(found[1]) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (4.24, "4.2 s"), (59, "59 s"), (72, "1 min 12 s"), (3599.9, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert markup.duration(seconds) == words


def test_the_bar_says_percent_step_batch_and_time_left() -> None:
    progress = Progress(
        job_id="a",
        state="running",
        step=3,
        steps=10,
        batch=1,
        batches=2,
        eta=12.0,
        fraction=0.65,
        text="<i>Loading</i>",
    )
    bar = markup.progress_bar(progress, in_title=True)
    for words in ("65%", "Step 3/10", "Batch 2/2", "ETA 12 s", 'data-title="[65% ETA: 12 s] "', "&lt;i&gt;Loading"):
        assert words in bar
    assert 'data-title=""' in markup.progress_bar(progress, in_title=False)


def test_the_bar_says_the_place_in_the_queue() -> None:
    assert "number 3 in the queue" in markup.progress_bar(
        Progress(job_id="a", state="pending", queue_position=3), in_title=False
    )


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "unheard-of"])
def test_previews_are_data_urls_of_the_wanted_kind(name: str) -> None:
    kind = name if name in ("png", "jpeg", "webp") else "png"
    assert markup.data_url(Image.new("RGBA", (4, 4)), name).startswith(f"data:image/{kind};base64,")


def test_a_picture_without_text_says_so_and_others_list_their_fields() -> None:
    assert "no text" in markup.picture_text(None, {})
    shown = markup.picture_text("a <cat>", {"other": "kept"})
    assert "a &lt;cat&gt;" in shown
    assert "kept" in shown
