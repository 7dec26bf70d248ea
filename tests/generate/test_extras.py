"""Pictures in, pictures out: every piece is written, keeps its past and gets its own name; requests survive JSON."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from modules.core import device
from modules.core.errors import BadRequest, NotFound
from modules.core.types import JsonObject
from modules.generate import extras, postprocess_steps
from modules.generate.extras import Extras, Place, Source
from modules.generate.moments import Moments, Saving
from modules.generate.postprocess import Piece, Step, Tools
from modules.loading.faces import FaceRestorers
from modules.loading.upscale.catalog import Upscaler, Upscalers
from modules.settings.builtin import registry
from modules.settings.options import Snapshot
from tests.studio import Silent

TWICE = {"Upscale": {"upscaler_1_name": "Nearest", "upscale_by": 2}}


def png(width: int = 64, height: int = 48, mode: str = "RGB", **texts: str) -> bytes:
    colours = {"L": 128, "RGB": (200, 100, 50), "RGBA": (200, 100, 50, 128)}
    info = PngInfo()
    for key, value in texts.items():
        info.add_text(key, value)
    target = io.BytesIO()
    Image.new(mode, (width, height), colours[mode]).save(target, "PNG", pnginfo=info)
    return target.getvalue()


class Bench:
    """The engine of the Extras tab over a folder, with pictures by key."""

    def __init__(self, folder: Path, **pictures: bytes) -> None:
        self.folder = folder
        self.pictures = pictures or {"a": png()}
        self.steps = postprocess_steps.builtin()
        self.moments = Moments()
        models = {name: (folder / "models" / name,) for name in ("ESRGAN", "GFPGAN", "Codeformer")}
        self.upscalers = Upscalers(models, lambda part: device.choose(use_cpu=["all"]))
        self.faces = FaceRestorers(models, lambda part: device.choose(use_cpu=["all"]))
        self.captioners: dict[str, Callable[[Image.Image], str]] = {}
        self.recorded: list[str] = []

    def tools(self, options: Mapping[str, Any]) -> Tools:
        snapshot = Snapshot(registry()).overlay(options)
        return Tools(options=snapshot, upscalers=self.upscalers, faces=self.faces, captioners=self.captioners)

    def run(self, request: Extras, control: Silent | None = None, **options: Any) -> JsonObject:
        place = Place(
            data=self.folder,
            spool=self.folder / "spool",
            moments=self.moments,
            record=lambda path, text, size: self.recorded.append(path.name),
        )
        tools = self.tools(options)
        extras.check(request, self.steps, tools)
        return extras.run(request, self.steps, tools, control or Silent(), self.pictures.__getitem__, place)

    def names(self, result: JsonObject) -> list[str]:
        return [Path(each["path"]).name for each in result["pictures"]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def asking(steps: Mapping[str, Mapping[str, Any]] = TWICE, **fields: Any) -> Extras:
    return Extras(**{"inputs": (Source(key="a"),), "steps": steps, **fields})


def test_a_request_survives_json() -> None:
    request = Extras(
        inputs=(Source(key="a", name="cat.png"), Source(key="b")),
        input_dir="/in",
        output_dir="out",
        steps={"Create flipped copies": {"enable": True, "option": ["Both"]}},
        save=False,
        show=False,
    )
    assert Extras.of_json(request.to_json()) == request
    with pytest.raises(BadRequest, match="surprise"):
        Extras.of_json({"surprise": 1})


def test_a_saved_picture_lies_in_its_folder_with_what_was_done_and_its_past(tmp_path: Path) -> None:
    bench = Bench(tmp_path, a=png(parameters="a cat\nSteps: 20, Seed: 1, Size: 64x48", other="kept"))
    result = bench.run(asking())
    (picture,) = result["pictures"]
    path = Path(picture["path"])
    assert path == tmp_path / "outputs" / "extras-images" / "00000.png"
    assert bench.recorded == ["00000.png"]
    with Image.open(path) as image:
        assert image.size == (128, 96)
        said = "Postprocess upscale by: 2.0, Postprocess upscaler: Nearest"
        past = {"parameters": "a cat\nSteps: 20, Seed: 1, Size: 64x48", "other": "kept"}
        assert image.info == {**past, "postprocessing": said, "extras": said}
    assert picture["infotext"] == said
    assert result["html_info"] == f"<p>{said}</p>"


def test_a_jpeg_has_parameters_and_what_was_done_in_its_one_text(tmp_path: Path) -> None:
    from modules.imaging import png as texts

    bench = Bench(tmp_path, a=png(parameters="a cat\nSteps: 20, Seed: 1, Size: 64x48"))
    (picture,) = bench.run(asking(), samples_format="jpg")["pictures"]
    assert texts.read(Path(picture["path"])).infotext == (
        "a cat\nSteps: 20, Seed: 1, Size: 64x48, Postprocess upscale by: 2.0, Postprocess upscaler: Nearest"
    )


def test_without_png_info_nothing_is_written_into_the_file(bench: Bench) -> None:
    (picture,) = bench.run(asking(), enable_pnginfo=False)["pictures"]
    assert Image.open(picture["path"]).info == {}


def test_an_answers_picture_is_kept_apart(bench: Bench) -> None:
    (picture,) = bench.run(asking(save=False))["pictures"]
    assert Path(picture["path"]).parent == bench.folder / "spool"
    assert bench.recorded == []
    assert not (bench.folder / "outputs").exists()


@pytest.mark.parametrize(("mode", "comes"), [("L", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA")])
def test_transparency_stays_and_grey_becomes_colour(tmp_path: Path, mode: str, comes: str) -> None:
    (picture,) = Bench(tmp_path, a=png(mode=mode)).run(asking())["pictures"]
    assert Image.open(picture["path"]).mode == comes


def test_files_keep_their_names_and_pieces_get_endings(bench: Bench) -> None:
    steps = {**TWICE, "Create flipped copies": {"enable": True, "option": ["Horizontal", "Vertical", "Both"]}}
    sources = (Source(key="a", name="C:\\pictures\\cat.jpeg"),)
    result = bench.run(asking(steps, inputs=sources))
    assert bench.names(result) == ["cat.png", "cat-1.png", "cat-2.png", "cat-3.png"]
    again = bench.run(asking(steps, inputs=sources), use_original_name_batch=False, use_upscaler_name_as_suffix=True)
    assert bench.names(again)[:2] == ["00000-Nearest.png", "00001-Nearest-1.png"]


def test_a_folder_is_worked_through_and_what_is_no_picture_becomes_a_comment(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "b.png").write_bytes(png(40, 40))
    (folder / "a.png").write_bytes(png(80, 80))
    (folder / "notes.txt").write_text("no picture")
    result = bench.run(asking(inputs=(), input_dir=str(folder), output_dir=str(tmp_path / "out")))
    assert bench.names(result) == ["a.png", "b.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    assert len(result["comments"]) == 1
    assert "notes.txt" in result["comments"][0]
    hidden = bench.run(asking(inputs=(), input_dir=str(folder), show=False))
    assert hidden["pictures"] == []


def test_an_interrupted_job_keeps_what_is_done_and_a_skipped_picture_is_left_out(tmp_path: Path) -> None:
    pictures = {key: png(32, 32) for key in "abc"}
    sources = tuple(Source(key=key, name=key) for key in "abc")

    def run(control: Silent) -> list[str]:
        bench = Bench(tmp_path / str(id(control)), **pictures)
        return bench.names(bench.run(asking(inputs=sources), control))

    stopping = Silent(interrupt_at=100)
    assert run(stopping) == ["a.png"]
    assert run(Silent()) == ["a.png", "b.png", "c.png"]


def test_tiles_are_progress_and_stop_at_an_interrupt(tmp_path: Path) -> None:
    from tests.loading.upscale import made

    made.pth(tmp_path / "models" / "ESRGAN" / "net.pth", made.compact(2))
    bench = Bench(tmp_path, a=png(100, 64), b=png(100, 64))
    steps = {"Upscale": {"upscaler_1_name": "net", "upscale_by": 2}}
    both = (Source(key="a"), Source(key="b"))
    watched = Silent()
    assert len(bench.run(asking(steps, inputs=both), watched, ESRGAN_tile=64)["pictures"]) == 2
    assert watched.steps == [50, 100, 100, 50, 100, 100]
    assert bench.run(asking(steps, inputs=both), Silent(interrupt_at=50), ESRGAN_tile=64)["pictures"] == []
    skipping = bench.run(asking(steps, inputs=both), Silent(skip_at=50), ESRGAN_tile=64)
    assert len(skipping["pictures"]) == 1


def test_listeners_see_every_picture_before_it_is_saved(bench: Bench) -> None:
    def grey(event: Saving) -> None:
        event.image = event.image.convert("L")

    bench.moments.saving.add(grey, owner="test")
    (picture,) = bench.run(asking())["pictures"]
    assert Image.open(picture["path"]).mode == "L"


@pytest.mark.parametrize(
    ("action", "expected"),
    [("Ignore", "a dog"), ("Keep", "a cat"), ("Prepend", "a cat a dog"), ("Append", "a dog a cat")],
)
def test_captions_go_into_a_text_file(bench: Bench, action: str, expected: str) -> None:
    bench.captioners["Words"] = lambda image: "a dog"
    request = asking({"Caption": {"enable": True, "option": ["Words"]}}, inputs=(Source(key="a", name="pet.png"),))
    bench.run(request)
    beside = bench.folder / "outputs" / "extras-images" / "pet.txt"
    assert beside.read_text() == "a dog"
    beside.write_text("a cat")
    bench.run(request, postprocessing_existing_caption_action=action)
    assert beside.read_text() == expected


@pytest.mark.parametrize(
    ("steps", "field", "says"),
    [
        ({"Upscale": {"upscaler_1_name": "Lanzcos"}}, "upscaler_1", "Did you mean"),
        ({"Upscale": {"upscaler_2_name": "LDSR"}}, "upscaler_2", "not part of Easel"),
        ({"GFPGAN": {"enable": True}}, "gfpgan_visibility", r"GFPGANv1\.4\.pth into .*GFPGAN"),
        ({"CodeFormer": {"enable": True}}, "codeformer_visibility", r"codeformer-v0\.1\.0\.pth into .*Codeformer"),
        ({"Caption": {"enable": True, "option": ["BLIP"]}}, "steps", "no captioner of its own"),
        ({"Upscal": {}}, "steps", "Did you mean"),
        ({"Upscale": 3}, "steps", "must be an object"),
    ],
)
def test_what_cannot_be_done_is_said_before_it_is_queued(bench: Bench, steps: Any, field: str, says: str) -> None:
    with pytest.raises((BadRequest, NotFound), match=says) as caught:
        bench.run(asking(steps))
    assert getattr(caught.value, "field", "") == field


def test_nothing_to_work_on_is_a_bad_request(bench: Bench) -> None:
    with pytest.raises(BadRequest, match="no picture"):
        bench.run(Extras())
    with pytest.raises(BadRequest, match="no folder"):
        bench.run(Extras(input_dir=str(bench.folder / "nowhere")))


def test_extensions_add_steps_and_upscalers(bench: Bench) -> None:
    def invert(piece: Piece, asked: Mapping[str, Any], tools: Tools, /) -> None:
        piece.image = Image.fromarray(255 - np.asarray(piece.image))
        piece.info["Inverted"] = asked["how"]

    remove = bench.steps.add(Step(name="Invert", order=500, run=invert, defaults={"enable": False, "how": "fully"}))
    bench.upscalers.add(Upscaler(name="Same", once=lambda image, scale: image))
    steps = {"Upscale": {"upscaler_1_name": "Same", "upscale_by": 1}, "Invert": {"enable": True}}
    (picture,) = bench.run(asking(steps))["pictures"]
    assert picture["infotext"] == "Inverted: fully, Postprocess upscale by: 1.0, Postprocess upscaler: Same"
    assert Image.open(picture["path"]).getpixel((0, 0)) == (55, 155, 205)
    remove()
    with pytest.raises(NotFound):
        bench.run(asking(steps))
