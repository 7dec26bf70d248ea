"""Who asks for faces gets them restored before anybody else sees the picture, or is told which files to get."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from modules.core.errors import BadRequest, EaselError
from modules.generate import restoring
from modules.generate.request import Txt2Img
from tests.studio import Bench

SMALL: dict[str, Any] = {"prompt": "a cat", "seed": 1, "steps": 2, "width": 64, "height": 64}


@pytest.mark.parametrize(
    ("wanted", "option", "expected"),
    [(None, False, None), (None, True, "GFPGAN"), (False, True, None), (True, False, "GFPGAN")],
)
def test_the_request_goes_before_the_option(wanted: bool | None, option: bool, expected: str | None) -> None:
    options = {"face_restoration": option, "face_restoration_model": "GFPGAN"}
    assert restoring.restorer(wanted, options) == expected


class Faces:
    """A restorer that makes everything white."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float | None]] = []
        self.released = 0

    def problem(self, name: str) -> str:
        return "" if name == "GFPGAN" else "put x.pth into models."

    def restore(self, image: Image.Image, name: str, *, weight: float | None = None) -> Image.Image:
        self.asked.append((name, weight))
        return Image.new("RGB", image.size, "white")

    def release(self) -> None:
        self.released += 1


class Work:
    def __init__(self, restorer: str | None, **options: Any) -> None:
        self.restorer = restorer
        self.options = {"code_former_weight": 0.3, "face_restoration_unload": False, **options}


def test_only_a_plan_with_a_restorer_changes_the_picture() -> None:
    faces, image = Faces(), Image.new("RGB", (8, 8))
    assert restoring.restored(faces, Work(None), image) is image
    assert restoring.restored(faces, Work("CodeFormer"), image).getpixel((0, 0)) == (255, 255, 255)
    assert faces.asked == [("CodeFormer", 0.3)]
    assert faces.released == 0
    restoring.restored(faces, Work("GFPGAN", face_restoration_unload=True), image)
    assert faces.released == 1


def test_what_is_missing_is_said_with_the_field() -> None:
    restoring.check(Faces(), Work(None))
    restoring.check(Faces(), Work("GFPGAN"))
    with pytest.raises(BadRequest, match=r"restore_faces: put x\.pth") as caught:
        restoring.check(Faces(), Work("CodeFormer"))
    assert caught.value.field == "restore_faces"


def test_a_job_without_the_files_fails_with_their_names(bench: Bench) -> None:
    with pytest.raises(EaselError, match=r"GFPGANv1\.4\.pth"):
        bench.make(Txt2Img(**SMALL, restore_faces=True), face_restoration_model="GFPGAN")


def test_infotext_and_info_tell_the_restorer(bench: Bench) -> None:
    from modules.generate import describe, plan

    def planned(**changes: Any) -> Any:
        studio = bench.studio
        return plan.make(plan.with_seeds(Txt2Img(**SMALL, **changes)), bench.options({}), studio.stock, studio.clock())

    with_faces, without = planned(restore_faces=True), planned()
    assert "Seed: 1, Face restoration: CodeFormer, Size: 64x64" in describe.text_of(with_faces, 0, {})
    assert "Face" not in describe.text_of(without, 0, {})
    told = describe.info(with_faces, [], extra={}, first=0)
    assert (told["restore_faces"], told["face_restoration_model"]) == (True, "CodeFormer")
