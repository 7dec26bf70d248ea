"""What the trial of one of A1111's extensions says, by its program's answer; the program itself is run once."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.plugins.installing import trial


def test_what_a_script_raises_is_named_and_a_folder_of_which_nothing_loads_is_refused(tmp_path: Path) -> None:
    scripts = tmp_path / "guest" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "one.py").write_text("from modules import shared, scripts\nraise RuntimeError('not today')\n")
    with pytest.raises(trial.Broken, match=r"scripts/one\.py: RuntimeError: not today.*Nothing was changed") as caught:
        trial.imported(tmp_path / "guest")
    assert "raise RuntimeError('not today')" in caught.value.traceback


def test_a_program_that_ends_by_itself_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "TRYING", "this")  # a module of Python's that prints a poem and writes no answer
    with pytest.raises(trial.Broken, match="It ended the program"):
        trial.imported(tmp_path)
