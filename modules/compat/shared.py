"""`modules.shared`: what A1111 keeps in globals, read from the running program each time; what is written is looked at.

The file `names/shared.py` becomes a `Shared` when it is imported.
"""

from __future__ import annotations

import argparse
import os
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from modules.compat import options
from modules.compat import room as rooms
from modules.prompts.pasted_styles import taken_out


class Tqdm:
    """`total_tqdm`: Easel draws no bars in the console."""

    def reset(self) -> None: ...
    def update(self, *_: Any) -> None: ...
    def updateTotal(self, new_total: int) -> None: ...  # noqa: N802
    def clear(self) -> None: ...


class PromptStyle:
    """A style with the file it stands in."""

    def __init__(self, name: str, prompt: str | None, negative_prompt: str | None, path: str | None = None) -> None:
        self.name, self.prompt, self.negative_prompt, self.path = name, prompt, negative_prompt, path


class StyleDatabase:
    """`prompt_styles`."""

    @property
    def styles(self) -> dict[str, PromptStyle]:
        found = rooms.current().app.styles.read().values()
        return {each.name: PromptStyle(each.name, each.prompt, each.negative_prompt) for each in found}

    def get_style_prompts(self, styles: list[str]) -> list[str]:
        known = self.styles
        return [(known[name].prompt or "") if name in known else "" for name in styles]

    def get_negative_style_prompts(self, styles: list[str]) -> list[str]:
        known = self.styles
        return [(known[name].negative_prompt or "") if name in known else "" for name in styles]

    def apply_styles_to_prompt(self, prompt: str, styles: list[str]) -> str:
        return str(rooms.current().app.styles.apply(styles, prompt, "")[0])

    def apply_negative_styles_to_prompt(self, prompt: str, styles: list[str]) -> str:
        return str(rooms.current().app.styles.apply(styles, "", prompt)[1])

    def extract_styles_from_prompt(self, prompt: str, negative_prompt: str) -> tuple[list[str], str, str]:
        """(names, prompt, negative prompt without their texts) of the styles that are written out in these prompts."""
        return taken_out(rooms.current().app.styles.read().values(), prompt, negative_prompt)

    def reload(self) -> None:
        """Files are read anew at every question."""

    def save_styles(self, path: str | None = None) -> None:
        """Styles are kept by the page's own editor."""


class UpscalerData:
    """One upscaler: call `x.scaler.upscale(img, scale, x.data_path)`."""

    def __init__(self, name: str, path: str | None, upscaler: Any, scale: int = 4, model: Any = None) -> None:
        self.name, self.data_path, self.local_data_path = name, path or name, path
        self.scaler, self.scale, self.model = upscaler, scale, model


class Scaler:
    """`UpscalerData.scaler`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def upscale(self, img: Any, scale: float, selected_model: str | None = None) -> Any:
        room = rooms.current()
        return room.app.upscalers.upscale(img, scale, self.name, room.app.options.snapshot())

    do_upscale = upscale


class Captions:
    """`interrogator`: whatever captioner the program has."""

    def interrogate(self, pil_image: Any) -> str:
        from modules.core.errors import EaselError

        describe = getattr(rooms.current().app, "describe_picture", None)
        if describe is None:
            raise EaselError("There is no captioning model here.")
        return str(describe(pil_image))

    def load(self) -> None: ...
    def unload(self) -> None: ...


def upscalers() -> list[UpscalerData]:
    rows = rooms.current().app.upscalers.rows()
    return [UpscalerData(row.name, str(row.path) if row.path else None, Scaler(row.name), row.scale) for row in rows]


def natural_sort_key(text: str) -> list[Any]:
    import re

    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", text)]


def listfiles(dirname: str) -> list[str]:
    """Files of a folder, in their natural order."""
    names = sorted((name for name in os.listdir(dirname) if not name.startswith(".")), key=natural_sort_key)
    return [path for path in (os.path.join(dirname, name) for name in names) if os.path.isfile(path)]


def walk_files(path: str, allowed_extensions: Any = None) -> Iterator[str]:
    """Files below a folder."""
    endings = None if allowed_extensions is None else set(allowed_extensions)
    for root, _, files in sorted(os.walk(path, followlinks=True), key=lambda each: natural_sort_key(each[0])):
        for name in sorted(files, key=natural_sort_key):
            if endings is None or os.path.splitext(name)[1].lower() in endings:
                yield os.path.join(root, name)


def html_path(filename: str) -> str:
    return str(rooms.current().app.paths.root / "html" / filename)


def html(filename: str) -> str:
    path = Path(html_path(filename))
    return path.read_text(encoding="utf8") if path.exists() else ""


def ldm_print(*args: Any, **kwargs: Any) -> None: ...


def cmd_opts() -> argparse.Namespace:
    """The flags, and those that extensions declare in preload.py."""
    room = rooms.current()
    known: argparse.Namespace | None = getattr(room, "_cmd_opts", None)
    if known is None:
        flags = room.app.flags
        values = {**vars(flags_of(flags)), **flags.as_cmd_flags()}
        known = argparse.Namespace(**values)
        room._cmd_opts = known  # type: ignore[attr-defined]
        paths = room.app.paths
        known.data_dir, known.models_dir = str(paths.data), str(paths.models)
        known.ui_config_file, known.ui_settings_file = str(paths.ui_config), str(paths.config)
    for name, value in room.arguments.items():
        if not hasattr(known, name):
            setattr(known, name, value)
    return known


def flags_of(flags: Any) -> argparse.Namespace:
    import dataclasses

    found = {field.name: getattr(flags, field.name) for field in dataclasses.fields(flags)}
    return argparse.Namespace(
        **{key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
    )


def _hide_dirs() -> dict[str, Any]:
    return {"visible": not cmd_opts().hide_ui_dir_config}


def _checkpoints(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from modules.compat import checkpoints

        return getattr(checkpoints, name)

    return read


def _sd_model() -> Any:
    from modules.compat import model

    return model.now(rooms.current())


def _device() -> Any:
    from modules.compat import machine

    return machine.placement().device


def _hypernetworks() -> dict[str, str]:
    return {file.name: str(file.path) for file in rooms.current().studio.networks.hypernetworks.all()}


def _latent_modes() -> dict[str, Any]:
    from modules.imaging.upscale import LATENT_MODES

    return {name: _LATENT.get(name, {"mode": "bilinear", "antialias": False}) for name in LATENT_MODES}


_LATENT = {
    "Latent": {"mode": "bilinear", "antialias": False},
    "Latent (antialiased)": {"mode": "bilinear", "antialias": True},
    "Latent (bicubic)": {"mode": "bicubic", "antialias": False},
    "Latent (bicubic antialiased)": {"mode": "bicubic", "antialias": True},
    "Latent (nearest)": {"mode": "nearest", "antialias": False},
    "Latent (nearest-exact)": {"mode": "nearest-exact", "antialias": False},
}


def _memory() -> Any:
    from modules.compat import machine

    room = rooms.current()
    room.__dict__.setdefault("_memory", machine.MemUsageMonitor())
    return room.__dict__["_memory"]


LIVE: dict[str, Callable[[], Any]] = {
    "opts": lambda: rooms.current().opts,
    "cmd_opts": cmd_opts,
    "parser": lambda: argparse.ArgumentParser(),
    "state": lambda: rooms.current().state,
    "sd_model": _sd_model,
    "device": _device,
    "weight_load_location": lambda: None,
    "batch_cond_uncond": lambda: rooms.current().opts.batch_cond_uncond,
    "xformers_available": lambda: False,
    "options_templates": lambda: rooms.current().opts.templates,
    "restricted_opts": lambda: set(),
    "sd_upscalers": upscalers,
    "face_restorers": lambda: [],
    "config_filename": lambda: str(rooms.current().app.paths.config),
    "styles_filename": lambda: str(rooms.current().app.paths.styles[0]),
    "hypernetworks": _hypernetworks,
    "loaded_hypernetworks": lambda: [],
    "hide_dirs": _hide_dirs,
    "data_path": lambda: str(rooms.current().app.paths.data),
    "models_path": lambda: str(rooms.current().app.paths.models),
    "script_path": lambda: str(rooms.current().app.paths.root),
    "extensions_dir": lambda: str(rooms.current().app.paths.extensions),
    "demo": lambda: getattr(rooms.current(), "demo", None),
    "mem_mon": _memory,
    "latent_upscale_modes": _latent_modes,
    "list_checkpoint_tiles": _checkpoints("list_titles"),
    "refresh_checkpoints": _checkpoints("list_models"),
    "list_samplers": lambda: _samplers,
    "reload_hypernetworks": lambda: lambda: rooms.current().studio.networks.hypernetworks.refresh(),
    "clip_model": lambda: None,
    "gradio_theme": lambda: None,
    "settings_components": lambda: getattr(rooms.current(), "settings_components", {}),
    "tab_names": lambda: ["txt2img", "img2img", "Extras", "PNG Info", "Settings"],
    "progress_print_out": lambda: sys.stdout,
}


def _samplers() -> Any:
    from modules.compat import sampling

    return sampling.all_rows()


FIXED: dict[str, Any] = {
    "OptionInfo": options.OptionInfo,
    "OptionHTML": options.OptionHTML,
    "options_section": options.options_section,
    "listfiles": listfiles,
    "walk_files": walk_files,
    "natural_sort_key": natural_sort_key,
    "html_path": html_path,
    "html": html,
    "ldm_print": ldm_print,
    "total_tqdm": Tqdm(),
    "prompt_styles": StyleDatabase(),
    "interrogator": Captions(),
    "latent_upscale_default_mode": "Latent",
    "parallel_processing_allowed": True,
    "hypernetwork_training": False,
}


class Shared(types.ModuleType):
    """The module. A name that is live cannot be shadowed: writing it does what it means, or nothing."""

    def __getattr__(self, name: str) -> Any:
        if name in LIVE:
            return LIVE[name]()
        if name in FIXED:
            return FIXED[name]
        if name == "log":
            import logging

            return logging.getLogger("modules.shared")
        if name in ("Options",):
            return options.Opts
        if name == "State":
            from modules.compat.state import State

            return State
        if name == "cmd_args":
            import importlib

            return importlib.import_module("modules.cmd_args")
        raise AttributeError(f"module 'modules.shared' has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "sd_model" or (name in LIVE and name not in _LOOSE):
            return
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *LIVE, *FIXED})


_LOOSE = {"settings_components", "demo", "gradio_theme", "clip_model", "batch_cond_uncond", "face_restorers"}
"""Names that code may set for itself."""
