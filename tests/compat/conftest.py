"""A whole program on the CPU with A1111's extensions of this folder, its page built, without a socket."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from modules.app import App
from modules.compat import scripting
from modules.generate.request import Generation
from modules.settings.flags import parse
from tests.studio import MODELS

EXTENSIONS = Path(__file__).parent / "extensions"


class Program:
    """The program, and what the test extension heard."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.room = app.guests.room

    @property
    def guest(self) -> ModuleType:
        """The module of the extension `every_hook`."""
        found: ModuleType = next(each.module for each in scripting.scripts_data if each.path.endswith("every_hook.py"))
        return found

    def make(self, request: Generation, **more: Any) -> dict[str, Any]:
        """A job's result; what was heard before is forgotten."""
        self.guest.HEARD.clear()
        job = self.app.queue.wait(self.app.submit(request, **more), timeout=300)
        assert job.state == "done", job.error
        assert job.result is not None
        return job.result

    def heard(self, name: str | None = None) -> list[Any]:
        """The names of what was heard, or what was told with one name."""
        if name is None:
            return [each[0] for each in self.guest.HEARD]
        return [each[1:] for each in self.guest.HEARD if each[0] == name]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    if not (MODELS / "Stable-diffusion" / "tiny-sd1.safetensors").exists():
        pytest.skip("tests/reference/models is absent")
    data = tmp_path_factory.mktemp("compat")
    for folder in sorted(EXTENSIONS.iterdir()):
        shutil.copytree(folder, data / "extensions" / folder.name)
    words = ["--data-dir", str(data), "--ckpt-dir", str(MODELS / "Stable-diffusion"), "--use-cpu", "all", "--api"]
    app = App(parse(words))
    app.start()
    yield Program(app)
    app.stop()
