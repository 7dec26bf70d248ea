"""Importing an extension's code as the package `extensions.<folder>`, and forgetting it."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable
from typing import Any

from modules.core.errors import DamagedFile
from modules.plugins.extension import Extension

PACKAGE = "extensions"


def module_name(extension: Extension) -> str:
    """What its folder is called as a package: other modules of it are imported relative to this one."""
    return f"{PACKAGE}.{extension.name.replace('.', '_')}"


def register(extension: Extension) -> Callable[[Any], None]:
    """Import its extension.py anew -> its function `register`. Raises DamagedFile where there is none, and whatever
    the code raises; nothing of it stays imported then.
    """
    forget(extension)
    _parent()
    name = module_name(extension)
    try:
        _package(extension, name)
        module = importlib.import_module(f"{name}.extension")
    except BaseException:
        forget(extension)
        raise
    found = getattr(module, "register", None)
    if not callable(found):
        forget(extension)
        raise DamagedFile(f'{extension.folder / "extension.py"} has no function "register(app)".')
    function: Callable[[Any], None] = found
    return function


def forget(extension: Extension) -> None:
    """Take its modules out of sys.modules, so that the next import reads the files again."""
    name = module_name(extension)
    for known in [each for each in list(sys.modules) if each == name or each.startswith(f"{name}.")]:
        del sys.modules[known]
    importlib.invalidate_caches()


def _parent() -> None:
    if PACKAGE not in sys.modules:
        parent = types.ModuleType(PACKAGE)
        parent.__path__ = []
        sys.modules[PACKAGE] = parent


def _package(extension: Extension, name: str) -> None:
    """The folder as a package, with or without an __init__.py."""
    folder = str(extension.folder)
    start = extension.folder / "__init__.py"
    if start.is_file():
        spec = importlib.util.spec_from_file_location(name, start, submodule_search_locations=[folder])
    else:
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [folder]
    assert spec is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    if spec.loader is not None and start.is_file():
        spec.loader.exec_module(package)
