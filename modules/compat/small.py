"""Small modules of A1111, one section each, that `names/` deals out."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import os
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from modules.compat import room as rooms
from modules.core.errors import EaselError
from modules.imaging import masks

# --- extras


def run_pnginfo(image: Any) -> tuple[str, str, str]:
    """("", infotext, HTML of all texts)."""
    from modules.compat.picture import read_info_from_image
    from modules.compat.widgets import plaintext_to_html

    if image is None:
        return "", "", ""
    geninfo, items = read_info_from_image(image)
    shown = {"parameters": geninfo, **items} if geninfo else items
    info = "".join(
        f"<div><p><b>{plaintext_to_html(str(key))}</b></p>{plaintext_to_html(str(text))}</div>"
        for key, text in shown.items()
    )
    return "", geninfo or "", info or "<div><p>Nothing found in the image.</p></div>"


def create_config(ckpt_result: str, config_source: int, a: Any, b: Any, c: Any) -> None:
    """Copies the .yaml of a parent beside a merged checkpoint, where there is one."""
    import shutil

    parents = {0: [a, b, c], 1: [b]}.get(config_source, [])
    for parent in parents:
        stem = os.path.splitext(getattr(parent, "filename", "") or "")[0]
        if stem and os.path.isfile(f"{stem}.yaml"):
            shutil.copyfile(f"{stem}.yaml", os.path.splitext(ckpt_result)[0] + ".yaml")
            return


def run_modelmerger(*_: Any) -> Any:
    raise EaselError("Merging is a job of Easel's own: POST /easel/v1/merge.")


# --- masking


def get_crop_region_v2(mask: Any, pad: int = 0) -> Any:
    """The box around what is not black, None where all is."""
    return masks.region(_mask(mask), pad)


def get_crop_region(mask: Any, pad: int = 0) -> Any:
    """The same; an empty mask gives A1111's turned box."""
    image = _mask(mask)
    found = masks.region(image, pad)
    return found or (
        max(image.width - pad, 0),
        max(image.height - pad, 0),
        min(pad, image.width),
        min(pad, image.height),
    )


def _mask(mask: Any) -> Any:
    from PIL import Image

    image = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
    return image if image.mode == "L" else image.convert("L")


def expand_crop_region(
    crop_region: Any, processing_width: int, processing_height: int, image_width: int, image_height: int
) -> Any:
    return masks.expanded(tuple(crop_region), (processing_width, processing_height), (image_width, image_height))


def fill(image: Any, mask: Any) -> Any:
    return masks.filled(image, _mask(mask))


# --- patches

originals: dict[str, dict[Any, Any]] = defaultdict(dict)


def patch(key: str, obj: Any, field: str, replacement: Any) -> Any:
    """Replace a field and remember what was there -> that. Raises RuntimeError when it is patched already."""
    place = (id(obj), field)
    if place in originals[key]:
        raise RuntimeError(f"patch for {field} is already applied")
    before = getattr(obj, field)
    originals[key][place] = before
    setattr(obj, field, replacement)
    return before


def undo(key: str, obj: Any, field: str) -> None:
    """Put back what was there. Raises RuntimeError when nothing is patched."""
    place = (id(obj), field)
    if place not in originals[key]:
        raise RuntimeError(f"there is no patch for {field} to undo")
    setattr(obj, field, originals[key].pop(place))


def original(key: str, obj: Any, field: str) -> Any:
    return originals[key].get((id(obj), field))


# --- safe


def load(filename: Any, *args: Any, **kwargs: Any) -> Any:
    """torch's restricted reader: code inside a file is never run."""
    import torch

    kwargs["weights_only"] = True
    return torch.load(filename, *args, **kwargs)


def load_with_extra(filename: Any, extra_handler: Any = None, *args: Any, **kwargs: Any) -> Any:
    return load(filename, *args, **kwargs)


def unsafe_torch_load(*args: Any, **kwargs: Any) -> Any:
    """torch.load with torch's own defaults, which are restricted too."""
    import torch

    return torch.load(*args, **kwargs)


class Extra:
    """A1111's way to let more of a pickle through; nothing more is let through here."""

    def __init__(self, handler: Callable[..., Any]) -> None:
        self.handler = handler

    def __enter__(self) -> None: ...
    def __exit__(self, *_: Any) -> None: ...


# --- timer


class TimerSubcategory:
    def __init__(self, timer: Timer, category: str) -> None:
        self.timer, self.category = timer, category

    def __enter__(self) -> None:
        self.started = time.time()

    def __exit__(self, *_: Any) -> None:
        self.timer.records[self.category] = time.time() - self.started


class Timer:
    """Seconds of parts of a work."""

    def __init__(self, print_log: bool = False) -> None:
        self.start = self._last = time.time()
        self.records: dict[str, float] = {}
        self.total = 0.0

    def elapsed(self) -> float:
        end = time.time()
        found, self._last = end - self._last, end
        return found

    def record(self, category: str, extra_time: float = 0, disable_log: bool = False) -> None:
        spent = self.elapsed() + extra_time
        self.records[category] = self.records.get(category, 0.0) + spent
        self.total += spent

    def subcategory(self, name: str) -> TimerSubcategory:
        return TimerSubcategory(self, name)

    def summary(self) -> str:
        parts = [f"{name}: {spent:.1f}s" for name, spent in self.records.items() if spent >= 0.1]
        return f"{self.total:.1f}s" + (f" ({', '.join(parts)})" if parts else "")

    def dump(self) -> dict[str, Any]:
        return {"total": self.total, "records": self.records}

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]


startup_timer = Timer()


# --- files


def truncate_path(target_path: str, base_path: str | None = None) -> str:
    from modules.compat import places

    return places.truncate_path(target_path, base_path or places.cwd)


def load_file_from_url(
    url: str,
    *,
    model_dir: str,
    progress: bool = True,
    file_name: str | None = None,
    hash_prefix: str | None = None,
    re_download: bool = False,
) -> str:
    """The file if it is there. Raises EaselError where it would have to be fetched: Easel downloads nothing unasked."""
    name = file_name or os.path.basename(url.split("?", 1)[0])
    path = os.path.abspath(os.path.join(model_dir, name))
    if not os.path.exists(path):
        raise EaselError(
            f"{name} is missing: Easel downloads nothing unasked. Fetch {url} and put it into {model_dir}."
        )
    return path


def load_models(
    model_path: str,
    model_url: str | None = None,
    command_path: str | None = None,
    ext_filter: Any = None,
    download_name: str | None = None,
    ext_blacklist: Any = None,
    hash_prefix: str | None = None,
) -> list[str]:
    """Files of a kind below those folders."""
    from modules.compat.shared import walk_files

    found = []
    for folder in filter(None, [command_path, model_path]):
        for path in walk_files(folder, allowed_extensions=ext_filter) if os.path.isdir(folder) else ():
            if not (ext_blacklist and any(path.endswith(each) for each in ext_blacklist)) and path not in found:
                found.append(path)
    return found


def friendly_name(file: str) -> str:
    return os.path.splitext(os.path.basename(file))[0]


def load_module(path: str) -> Any:
    """A file as a module named after it."""
    spec = importlib.util.spec_from_file_location(os.path.basename(path), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- extensions


@dataclasses.dataclass
class Extension:
    """A folder with an extension."""

    name: str
    path: str
    enabled: bool = True
    is_builtin: bool = False
    remote: str | None = None
    canonical_name: str = ""
    status: str = ""
    branch: str | None = None
    commit_hash: str = ""
    commit_date: Any = None
    version: str = ""
    have_info_from_repo: bool = False
    can_update: bool = False

    def read_info_from_repo(self) -> None:
        """Known to the extension manager."""


def list_extensions() -> list[Extension]:
    room = rooms.current()
    off = set(room.opts.disabled_extensions)
    return [
        Extension(each.name, str(each.path), each.name not in off, canonical_name=each.name.lower())
        for each in room.loaded
    ]


def active() -> list[Extension]:
    return [each for each in list_extensions() if each.enabled]


# --- lists


def list_crossattention_optimizers() -> list[str]:
    """What "Cross attention optimization" may say: A1111's two words, and titles that extensions tell."""
    from modules.compat import hijack

    hijack.list_optimizers()
    return ["Automatic", *(each.title() for each in hijack.optimizers), "None"]


def list_samplers() -> Any:
    from modules.compat import sampling

    return sampling.all_rows()


def realesrgan_models_names() -> list[str]:
    return [each for each in rooms.current().app.upscalers.names() if "realesrgan" in each.lower().replace("-", "")]


def sd_unet_items() -> list[str]:
    from modules.compat import unets

    return unets.sd_unet_items()


def list_hypernetworks(path: str) -> dict[str, str]:
    return {file.name: str(file.path) for file in rooms.current().studio.networks.hypernetworks.all()}


localizations: dict[str, list[str]] = {}


def list_localizations(dirname: str) -> None:
    localizations.clear()
    for each in rooms.current().loaded:
        for name, path in each.localizations.items():
            localizations.setdefault(name, []).append(str(path))


def sysinfo() -> str:
    import json
    import platform

    return json.dumps({"Platform": platform.platform(), "Python": platform.python_version()})


def restore_faces(np_image: Any) -> Any:
    """Faces as the option face_restoration_model says; the picture itself where it names none."""
    import numpy as np
    from PIL import Image

    room = rooms.current()
    name = room.opts.face_restoration_model
    if name in (None, "", "None"):
        return np_image
    weight = room.opts.code_former_weight
    return np.array(room.app.faces.restore(Image.fromarray(np_image), name, weight))


class Flags(argparse.ArgumentParser):
    """A1111's parser as extensions use it: asked for the command line, it gives the flags the program runs with."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        if args is not None:
            return super().parse_known_args(args, namespace)
        from modules.compat import shared

        return shared.cmd_opts(), []


parser = Flags(add_help=False)
"""`cmd_args.parser`: flags are Easel's own; those of preload.py were read when the program started."""


# --- page


def create_extras_ui() -> None:
    """The Extras tab is Easel's own; a second one is not made."""


class Toprow:
    """A1111's row of prompts and buttons; Easel's page has its own."""

    prompt = negative_prompt = submit = interrupt = skip = paste = None

    def __init__(self, is_img2img: bool, is_compact: bool = False, id_part: str | None = None) -> None:
        import gradio as gr

        self.id_part = id_part or ("img2img" if is_img2img else "txt2img")
        with gr.Row(elem_id=f"{self.id_part}_toprow"):
            self.prompt = gr.Textbox(label="Prompt", elem_id=f"{self.id_part}_prompt", lines=3)
            self.negative_prompt = gr.Textbox(label="Negative prompt", elem_id=f"{self.id_part}_neg_prompt", lines=3)
            self.interrupt = gr.Button("Interrupt", elem_id=f"{self.id_part}_interrupt")
            self.skip = gr.Button("Skip", elem_id=f"{self.id_part}_skip")
            self.submit = gr.Button("Generate", elem_id=f"{self.id_part}_generate", variant="primary")
        self.interrupt.click(lambda: rooms.current().state.interrupt(), show_progress="hidden")
        self.skip.click(lambda: rooms.current().state.skip(), show_progress="hidden")


class ExtraNetworksPage:
    """A page of cards; Easel's page shows its own."""

    def __init__(self, title: str) -> None:
        self.title, self.name = title, title.lower()
        self.items: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.allow_negative_prompt = False

    def refresh(self) -> None: ...
    def list_items(self) -> Any:
        return iter(())

    def allowed_directories_for_previews(self) -> list[str]:
        return []


extra_pages: list[ExtraNetworksPage] = []


def register_page(page: ExtraNetworksPage) -> None:
    extra_pages.append(page)


def register_tmp_file(gradio: Any, filename: str) -> None:
    """Pictures of results lie in folders that the page may read."""


def cleanup_tmpdr() -> None: ...


def webpath(fn: str) -> str:
    return f"file={fn}?{os.path.getmtime(fn)}"


def javascript_html() -> str:
    return ""


def css_html() -> str:
    return ""
