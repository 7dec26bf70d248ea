"""`paths` and `paths_internal`: folders as text."""

from __future__ import annotations

import os
import sys

from modules.compat import room as rooms

__all__ = [
    "Prioritize",
    "config_states_dir",
    "cwd",
    "data_path",
    "default_output_dir",
    "default_sd_model_file",
    "extensions_builtin_dir",
    "extensions_dir",
    "models_path",
    "modules_path",
    "paths",
    "roboto_ttf_file",
    "script_path",
    "sd_configs_path",
    "sd_path",
    "truncate_path",
]

_paths = rooms.current().app.paths

script_path = str(_paths.root)
modules_path = os.path.join(script_path, "modules")
data_path = str(_paths.data)
models_path = str(_paths.models)
extensions_dir = str(_paths.extensions)
extensions_builtin_dir = os.path.join(script_path, "extensions-builtin")
config_states_dir = os.path.join(data_path, "config_states")
default_output_dir = str(_paths.outputs)
sd_configs_path = os.path.join(script_path, "configs")
sd_path = script_path
sd_model_file = default_sd_model_file = os.path.join(script_path, "model.ckpt")
roboto_ttf_file = os.path.join(modules_path, "imaging", "fonts", "Roboto-Regular.ttf")
vae_path = os.path.join(models_path, "VAE")
cwd = os.getcwd()
paths: dict[str, str] = {}
"""A1111's repositories, of which there are none here."""


def truncate_path(target_path: str, base_path: str = cwd) -> str:
    """Relative where it lies below."""
    target = os.path.abspath(target_path)
    below = os.path.abspath(base_path)
    try:
        return os.path.relpath(target, below) if os.path.commonpath([target, below]) == below else target
    except ValueError:
        return target


class Prioritize:
    """A name's folder first on sys.path inside `with`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path: list[str] = []

    def __enter__(self) -> None:
        self.path = list(sys.path)
        sys.path = [paths.get(self.name, script_path), *sys.path]

    def __exit__(self, *_: object) -> None:
        sys.path = self.path
