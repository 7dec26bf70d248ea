"""The buttons under a gallery: save a picture, zip all, open the folder, send a picture to another tab.

`screen` shows the gallery; `page` says where pictures can be sent. Saving copies the file as it is, so that the text in
it goes along, into the folder of the option `outdir_save`, and notes it in that folder's log.csv.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.core.errors import EaselError
from modules.core.store import explain_disk, write_atomically
from modules.prompts import importing
from modules.web.ui import markup
from modules.web.ui.form import QUIET
from modules.web.ui.results import Result

if TYPE_CHECKING:
    from modules.web.services import Services

LOG = "log.csv"
COLUMNS = (
    *("prompt", "seed", "width", "height", "sampler", "cfgs", "steps"),
    *("filename", "negative_prompt", "sd_model_name", "sd_model_hash"),
)
"""Of log.csv, as A1111 writes it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Toolbar:
    """sends: where to ("img2img", "inpaint", "extras", …) -> the button; upscale: hires fix of the shown picture, where
    the tab has it.
    """

    folder: gr.Button
    save: gr.Button
    zip: gr.Button
    sends: dict[str, gr.Button]
    download: gr.File
    upscale: gr.Button | None = None


SYMBOLS = {"img2img": "🖼️", "inpaint": "🎨️", "extras": "📐"}
"""Where a picture can be sent."""


def toolbar(tab: str) -> Toolbar:
    """The row under the gallery of a tab."""
    with gr.Row(elem_id=f"image_buttons_{tab}", elem_classes=["image-buttons"]):
        folder = _button("📂", f"{tab}_open_folder")
        save = _button("💾", f"save_{tab}")
        archive = _button("🗃️", f"save_zip_{tab}")
        sends = {to: _button(symbol, f"{tab}_send_to_{to}") for to, symbol in SYMBOLS.items()}
        upscale = _button("✨", f"{tab}_upscale") if tab == "txt2img" else None
    download = gr.File(visible="hidden", label="Download", elem_id=f"download_files_{tab}", interactive=False)
    return Toolbar(folder=folder, save=save, zip=archive, sends=sends, download=download, upscale=upscale)


def _button(symbol: str, elem_id: str) -> gr.Button:
    return gr.Button(symbol, elem_id=elem_id, elem_classes=["tool"], scale=0, min_width=44)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Handlers:
    """What the buttons do; `result` and `selected` are the screen's states."""

    services: Services

    def save(self, result: Result | None, selected: int) -> tuple[Any, str]:
        """Copy the shown picture -> (the file to download, words)."""
        if not result or not result.paths:
            return gr.skip(), markup.note("There is no picture to save.")
        place = min(selected, len(result.paths) - 1)
        try:
            kept = keep(result.paths[place], result.infotext(place), self._folder())
        except EaselError as error:
            return gr.skip(), markup.error(str(error))
        return gr.update(value=[str(result.paths[place])], visible=True), markup.note(f"Saved: {kept}")

    def archive(self, result: Result | None) -> tuple[Any, str]:
        """All pictures of the gallery in one file -> (the file to download, words)."""
        if not result or not result.paths:
            return gr.skip(), markup.note("There is no picture to save.")
        target = self.services.paths.results / "zip" / f"{result.paths[0].stem}.zip"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, zipped(result.paths))
        except OSError as error:
            return gr.skip(), markup.error(explain_disk(error, f"{target} cannot be written"))
        return gr.update(value=[str(target)], visible=True), markup.note(f"{len(result.paths)} pictures in one file.")

    def open_folder(self, result: Result | None) -> str:
        """Show the folder of the newest picture in the file manager of this machine."""
        flags = self.services.flags
        if flags.host not in ("127.0.0.1", "localhost", "::1") or flags.hide_ui_dir_config:
            return markup.note("The folder can be opened only where the program runs for its own machine alone.")
        folder = result.paths[0].parent if result and result.paths else self.services.paths.outputs
        try:
            show(folder)
        except OSError as error:
            return markup.note(f"{folder} ({error.strerror or error})")
        return markup.note(str(folder))

    def _folder(self) -> Path:
        wanted = Path(self.services.options.snapshot()["outdir_save"])
        return wanted if wanted.is_absolute() else self.services.paths.data / wanted


def wire(bar: Toolbar, handlers: Handlers, *, result: gr.State, selected: gr.State, words: gr.HTML) -> None:
    """Connect saving and the folder; `page` connects the sends."""
    bar.save.click(handlers.save, [result, selected], [bar.download, words], **QUIET)
    bar.zip.click(handlers.archive, [result], [bar.download, words], **QUIET)
    bar.folder.click(handlers.open_folder, [result], [words], **QUIET)


def keep(path: Path, text: str, folder: Path) -> Path:
    """Copy a picture into a folder under a name that is free there, and note it in the log. Raises EaselError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = next(place for place in _names(folder, path) if not place.exists())
        write_atomically(target, path.read_bytes())
        _note(folder / LOG, target.name, text)
    except OSError as error:
        raise EaselError(explain_disk(error, f"The picture cannot be saved in {folder}")) from error
    return target


def _names(folder: Path, path: Path) -> Any:
    yield folder / path.name
    number = 1
    while True:
        yield folder / f"{path.stem}-{number}{path.suffix}"
        number += 1


def _note(log: Path, name: str, text: str) -> None:
    """One more line; the heading first where the log is new."""
    found = importing.parse(text) if text else {}
    row = {
        "prompt": found.get("Prompt", ""),
        "seed": found.get("Seed", ""),
        "width": found.get("Size-1", ""),
        "height": found.get("Size-2", ""),
        "sampler": found.get("Sampler", ""),
        "cfgs": found.get("CFG scale", ""),
        "steps": found.get("Steps", ""),
        "filename": name,
        "negative_prompt": found.get("Negative prompt", ""),
        "sd_model_name": found.get("Model", ""),
        "sd_model_hash": found.get("Model hash", ""),
    }
    new = not log.exists()
    with log.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def zipped(paths: tuple[Path, ...]) -> bytes:
    """The files in one zip, uncompressed: pictures are compressed already. Equal names are numbered."""
    target, taken = io.BytesIO(), set[str]()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for number, path in enumerate(paths):
            name = path.name if path.name not in taken else f"{path.stem}-{number}{path.suffix}"
            taken.add(name)
            archive.writestr(name, path.read_bytes())
    return target.getvalue()


def show(folder: Path, *, run: Callable[[list[str]], object] = subprocess.Popen) -> None:
    """Open a folder in the system's file manager. Raises OSError where there is none."""
    if sys.platform == "win32":
        os.startfile(folder)
    else:
        run(["open" if sys.platform == "darwin" else "xdg-open", str(folder)])
