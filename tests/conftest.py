"""What many tests share: a place to make pictures in, with the tiny reference model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.studio import MODELS, Bench

hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")  # how long an example takes says more of the machine than of the code


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests a file at a time, the long files come first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        long = {item.path for item in items if _is_long(item)}
        items.sort(key=lambda item: item.path not in long)


def _is_long(item: pytest.Item) -> bool:
    marks = {mark.name for mark in item.iter_markers()}
    return "server" in item.path.parts or bool(marks & {"browser", "reference", "slow"})


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """A whole engine on the CPU with the tiny SD1 model, without queue or server; pictures go to a temporary folder."""
    if not (MODELS / "Stable-diffusion" / "tiny-sd1.safetensors").exists():
        pytest.skip("tests/reference/models is absent")
    with tempfile.TemporaryDirectory() as folder:
        yield Bench(Path(folder))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for a module (its driver occupies the thread's event loop); each visitor has a profile of its own."""
    from tests.visitor import ARGUMENTS, CHROMIUM, playwright

    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
