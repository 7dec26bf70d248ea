"""pip's failures in words, and the disk before it starts."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from modules.setup.failure import SetupFailed
from modules.setup.installer import GIGABYTE, Pip, explain, need_space


def fake_python(folder: Path, script: str) -> Path:
    """An executable that is called as the environment's Python and runs `script` instead of pip."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\nimport os, sys\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_enough_space_is_enough(tmp_path: Path) -> None:
    need_space(tmp_path / "not" / "there" / "yet", 3, lambda path: 3 * GIGABYTE)


def test_a_full_disk_is_told_before_pip_starts(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed) as failure:
        need_space(tmp_path / "venv", 9, lambda path: 2 * GIGABYTE)
    assert "about 9 GB" in str(failure.value)
    assert "2.0 GB" in str(failure.value)
    assert "VENV_DIR" in str(failure.value)


def test_the_disk_that_is_asked_is_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    asked: list[Path] = []

    def free(path: Path) -> int:
        asked.append(path)
        return GIGABYTE

    need_space(tmp_path / "a" / "b", 1, free)
    assert asked == [tmp_path]


@pytest.mark.parametrize("said", ["OSError: [Errno 28] No space left on device", "[Errno 122] Disk quota exceeded"])
def test_a_disk_that_fills_up_meanwhile_is_told(said: str) -> None:
    assert "disk filled up" in explain(1, said, "pip install x", Path("/v/bin/python"))


def test_any_other_failure_names_its_code_and_command() -> None:
    told = explain(1, "ERROR: No matching distribution found", "python -m pip install x", Path("/v/bin/python"))
    assert "exit code 1" in told
    assert "python -m pip install x" in told


@pytest.mark.skipif(sys.platform == "win32", reason="the fake is a script with a #! line")
class TestPip:
    def test_requirements_constraints_and_index_reach_pip(self, tmp_path: Path) -> None:
        log = tmp_path / "words"
        python = fake_python(tmp_path, f"open({str(log)!r}, 'w').write('\\n'.join(sys.argv[1:]))")
        pip = Pip(python=python, environ={"INDEX_URL": "https://example.org/simple"})
        pip.install(["numpy==2.4.6"], constraints=tmp_path / "pins.txt")
        words = log.read_text().splitlines()
        assert words[:4] == ["-m", "pip", "install", "numpy==2.4.6"]
        assert words[4:] == ["--constraint", str(tmp_path / "pins.txt"), "--index-url", "https://example.org/simple"]

    def test_a_failure_becomes_words_and_its_own_words_are_shown(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        python = fake_python(tmp_path, "sys.exit('ERROR: [Errno 28] No space left on device')")
        with pytest.raises(SetupFailed, match="disk filled up"):
            Pip(python=python, environ={}).run(["pip", "install", "x"])
        assert "Errno 28" in capfd.readouterr().err

    def test_finds_asks_without_installing(self, tmp_path: Path) -> None:
        script = "sys.exit(0 if '--dry-run' in sys.argv and 'torch==2.13.0+cpu' in sys.argv else 1)"
        pip = Pip(python=fake_python(tmp_path, script), environ={})
        assert pip.finds("torch==2.13.0+cpu")
        assert not pip.finds("torch==2.13.0+xpu")
