"""Passwords are told to nobody: not in logs, answers, reports or messages; what was typed wrongly neither."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from modules.settings.flags import parse
from tests.web.api.fakes import World

SECRET = "correct-horse-battery"
WRONG = "wrong-but-close-battery"


def test_no_log_has_one(tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    with World(tmp_path, "--api-auth", f"me:{SECRET}", "--gradio-auth", f"me:{SECRET}", "--listen") as world:
        client = TestClient(world.app, raise_server_exceptions=False)
        for password in (SECRET, WRONG):
            for path in ("/sdapi/v1/options", "/bug", "/broken", "/internal/sysinfo", "/sdapi/v1/cmd-flags"):
                answer = client.get(path, auth=("me", password))
                assert SECRET not in answer.text
                assert WRONG not in answer.text
            client.post("/login", data={"username": "me", "password": password})
            client.post("/sdapi/v1/txt2img", json={"prompt": "bug"}, auth=("me", password))
    said = caplog.text + "".join(capfd.readouterr())
    encoded = [base64.b64encode(f"me:{word}".encode()).decode() for word in (SECRET, WRONG)]
    assert "A wrong password came from" in said, "that somebody guesses is said"
    for word in (SECRET, WRONG, *encoded, "easel-session="):
        assert word not in said


def test_no_report_has_one(tmp_path: Path) -> None:
    with World(tmp_path, "--gradio-auth", f"me:{SECRET}") as world:
        client = TestClient(world.app)
        for path in ("/internal/sysinfo", "/internal/sysinfo-download", "/sdapi/v1/cmd-flags", "/openapi.json"):
            answer = client.get(path, auth=("me", SECRET))
            assert answer.status_code == 200
            assert SECRET not in answer.text


def test_the_flags_do_not_show_them() -> None:
    flags = parse(["--api-auth", f"me:{SECRET}", "--gradio-auth", f"me:{SECRET}", "--ngrok", SECRET])
    assert SECRET not in repr(flags)
    assert SECRET not in str(flags.notes)


@pytest.mark.parametrize("flag", ["--api-auth", "--gradio-auth"])
def test_a_mistyped_flag_is_not_repeated(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([flag, SECRET])
    assert SECRET not in "".join(capsys.readouterr())


def test_a_mistyped_file_of_logins_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "logins.txt"
    file.write_text(SECRET, encoding="utf-8")
    with pytest.raises(SystemExit):
        parse(["--gradio-auth-path", str(file)])
    assert SECRET not in "".join(capsys.readouterr())
