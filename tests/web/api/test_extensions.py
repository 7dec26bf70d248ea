"""The list of extensions has A1111's fields; the page gets extensions' files, and no others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from modules.plugins.extension import Extension
from modules.plugins.repository import Repository
from modules.settings.flags import Flags, parse
from modules.web.additions import Additions, PageFile
from modules.web.api import errors, extensions


@dataclasses.dataclass(frozen=True)
class Known(Extension):
    """An extension that came from somewhere, or from nowhere."""

    remote: str = ""

    def repository(self) -> Repository | None:
        commit = "0123456789" * 4
        return Repository(remote=self.remote, branch="main", commit=commit, date=12) if self.remote else None


@dataclasses.dataclass
class Services:
    flags: Flags
    additions: Additions
    known: list[Known]

    def extensions(self) -> list[Known]:
        return self.known


def client(*known: Known, additions: Additions | None = None, words: tuple[str, ...] = ()) -> TestClient:
    services = Services(parse(words), additions or Additions(), list(known))
    app = FastAPI()
    errors.install(app)
    app.include_router(extensions.routes(services), prefix="/sdapi/v1")
    app.include_router(extensions.files(services))
    return TestClient(app)


def test_those_from_a_repository_are_listed() -> None:
    here = Path("x")
    found = client(
        Known(name="one", folder=here, remote="https://example.org/one", state="loaded"),
        Known(name="off", folder=here, remote="https://example.org/off", state="disabled"),
        Known(name="copied", folder=here),
    ).get("/sdapi/v1/extensions")
    assert found.json()[0] == {
        "name": "one",
        "remote": "https://example.org/one",
        "branch": "main",
        "commit_hash": "0123456789" * 4,
        "version": "01234567",
        "commit_date": "12",
        "enabled": True,
    }
    assert [(each["name"], each["enabled"]) for each in found.json()] == [("one", True), ("off", False)]


def test_the_page_loads_what_there_is_at_that_moment(tmp_path: Path) -> None:
    additions = Additions()
    asked = client(additions=additions, words=("--subpath", "easel"))
    assert "of []" in asked.get("/extension-files.js").text
    for name, text in (("mine.js", "let mine;"), ("mine.css", "b {}"), ("secret.js", "no")):
        (tmp_path / name).write_text(text)
    removes = [additions.files.add(PageFile(path=tmp_path / name)) for name in ("mine.js", "mine.css")]
    script = asked.get("/extension-files.js").text
    addresses = [part.split('"')[0].split("?")[0] for part in script.split('"/easel')[1:]]
    assert [address.rsplit("/", 1)[1] for address in addresses] == ["mine.js", "mine.css"]
    answers = [asked.get(address) for address in addresses]
    assert [answer.text for answer in answers] == ["let mine;", "b {}"]
    assert [answer.headers["content-type"].split(";")[0] for answer in answers] == ["text/javascript", "text/css"]
    assert asked.get(addresses[0].replace("mine.js", "secret.js")).status_code == 404
    for remove in removes:
        remove()
    assert asked.get(addresses[0]).status_code == 404
