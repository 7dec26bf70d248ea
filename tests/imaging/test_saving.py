"""Saving: whole files or none, a number for each, and errors with a way out."""

from __future__ import annotations

import datetime
import hashlib
import io
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.core.errors import EaselError
from modules.imaging import png
from modules.imaging.filenames import NameFacts
from modules.imaging.policy import SavePolicy
from modules.imaging.saving import Saved, save

NOW = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
TEXT = "a cat\nSteps: 1, Sampler: Euler, Seed: 5"


def put(folder: Path, *, seed: int | None = 5, size: tuple[int, int] = (8, 8), **policy: Any) -> Saved:
    image = Image.effect_noise(size, 90).convert("RGB")
    name = NameFacts(seed=seed, prompt="a cat")
    return save(image, TEXT, folder=folder, name=name, policy=SavePolicy(**policy), now=NOW)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_pictures_are_numbered_and_carry_their_text(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when missing"
    first, second = put(folder), put(folder, seed=6)
    assert [first.path.name, second.path.name] == names(folder) == ["00000-5.png", "00001-6.png"]
    assert first.path.read_bytes() == first.data
    assert png.read(first.path).infotext == TEXT
    assert first.txt_path is first.copy_path is None


def test_numbers_go_on_where_the_folder_ends(tmp_path: Path) -> None:
    (tmp_path / "00041-1.png").touch()
    assert put(tmp_path).path.name == "00042-5.png"
    assert put(tmp_path, basename="grid", short=True).path.name == "grid-0000.png"
    assert put(tmp_path, basename="grid", short=True).path.name == "grid-0001.png"
    assert put(tmp_path, seed=None).path.name == "00043.png"


@pytest.mark.parametrize("format", ["png", "jpg", "jpeg", "webp", "avif"])
def test_formats(tmp_path: Path, format: str) -> None:
    saved = put(tmp_path, format=format)
    assert saved.path.name == f"00000-5.{format}"
    assert png.read(saved.path).infotext == TEXT


def test_without_numbers_a_file_is_replaced_or_gets_a_suffix(tmp_path: Path) -> None:
    first = put(tmp_path, add_number=False)
    second = put(tmp_path, add_number=False)
    assert first.path == second.path
    assert first.path.read_bytes() == second.data != first.data
    suffixed = [put(tmp_path, add_number=False, replace=False).path.name for _ in range(2)]
    assert ["5.png", *sorted(suffixed, key=len)] == ["5.png", "5-1.png", "5-2.png"]
    assert put(tmp_path / "empty", add_number=False, pattern="[none]").path.name == "00000.png"


def test_text_beside_the_picture(tmp_path: Path) -> None:
    saved = put(tmp_path, save_txt=True, pattern="v1.5 [seed]")
    assert saved.txt_path == tmp_path / "00000-v1.5 5.txt"
    assert saved.txt_path.read_text(encoding="utf-8") == TEXT + "\n"


def test_large_pictures_get_a_smaller_jpg(tmp_path: Path) -> None:
    by_side = put(tmp_path, size=(100, 50), limit_side=40.0)
    assert by_side.copy_path == tmp_path / "00000-5.jpg"
    with Image.open(by_side.copy_path) as copy, Image.open(by_side.path) as original:
        assert (copy.format, copy.size, original.size) == ("JPEG", (40, 20), (100, 50))
    assert png.read(by_side.copy_path).infotext == TEXT
    by_bytes = put(tmp_path, size=(100, 50), limit_megabytes=0.001)
    assert by_bytes.copy_path is not None
    with Image.open(by_bytes.copy_path) as copy:
        assert copy.size == (100, 50)
    assert put(tmp_path, size=(100, 50), limit_side=40.0, export_for_4chan=False).copy_path is None
    as_jpg = put(tmp_path, size=(100, 50), limit_side=40.0, format="jpg")
    assert as_jpg.copy_path is None
    with Image.open(as_jpg.path) as original:
        assert original.size == (100, 50)


def test_what_the_format_cannot_hold_is_saved_as_png(tmp_path: Path) -> None:
    assert put(tmp_path, size=(16_400, 1), format="webp", export_for_4chan=False).path.suffix == ".png"


def save_many(folder: str, seed: int) -> list[str]:
    return [put(Path(folder), seed=seed, save_txt=True).path.name for _ in range(10)]


def assert_numbers_are_whole(found: list[str], folder: Path) -> None:
    numbers = [int(name.split("-")[0]) for name in found]
    assert len(set(numbers)) == len(numbers)  # one that two writers wanted at once may be left out
    assert [name for name in names(folder) if name.endswith(".png")] == sorted(found)
    assert not [name for name in names(folder) if name.startswith(".")]


def test_threads_never_share_a_number(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = [name for part in pool.map(save_many, [str(tmp_path)] * 8, range(8)) for name in part]
    assert_numbers_are_whole(found, tmp_path)


def test_processes_never_share_a_number(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        parts = pool.starmap(save_many, [(str(tmp_path), seed) for seed in range(3)], chunksize=1)
    assert_numbers_are_whole([name for part in parts for name in part], tmp_path)


def test_threads_never_share_a_suffix(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: put(tmp_path, add_number=False, replace=False).path.name, range(24)))
    assert len(set(found)) == 24
    assert names(tmp_path) == sorted(found)


def test_no_reader_sees_half_a_picture(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        writer = pool.submit(lambda: [put(tmp_path, size=(256, 256), export_for_4chan=False) for _ in range(15)])
        while not writer.done():
            for name in names(tmp_path):
                if not name.startswith("."):
                    Image.open(io.BytesIO((tmp_path / name).read_bytes())).load()
    assert len(writer.result()) == len(names(tmp_path)) == 15


def test_a_claim_left_by_a_killed_process_costs_a_number_only(tmp_path: Path) -> None:
    (tmp_path / f".easel-{hashlib.sha256(b'-0').hexdigest()[:16]}.claim").touch()
    assert put(tmp_path).path.name == "00001-5.png"


def test_a_file_in_the_way_is_named_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EaselError, match=r"file.*Settings"):
        put(tmp_path / "file" / "inner")
    with pytest.raises(EaselError, match=r"file.*Settings"):
        put(tmp_path / "file")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_read_only_folder_is_named_with_a_way_out(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EaselError, match="write access"):
        put(tmp_path)
    tmp_path.chmod(0o700)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from tests.imaging.test_saving import put
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
put(Path(sys.argv[1]), size=(100, 100))
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
def test_a_write_that_fails_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    """As on a full disk: the first 1000 bytes can be written, the next cannot."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert "StoreError" in run.stderr
    assert str(tmp_path / "00000-5.png") in run.stderr
    assert names(tmp_path) == []
