"""Python packages that A1111 or its repositories bring and Easel does not. Scripts written for it import them without
asking for them: those that install alone come with such an extension, of the others it is said what is missing.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

ALONE = {
    **{"cv2": "opencv-python-headless", "skimage": "scikit-image", "matplotlib": "matplotlib", "imageio": "imageio"},
    **{"git": "GitPython", "jsonmerge": "jsonmerge", "tomesd": "tomesd", "omegaconf": "omegaconf", "kornia": "kornia"},
    **{"torchdiffeq": "torchdiffeq", "blendmodes": "blendmodes", "resize_right": "resize-right", "lark": "lark"},
    **{"inflection": "inflection", "diskcache": "diskcache"},
}
PACKAGES = ALONE | {
    **{"open_clip": "open-clip-torch", "pytorch_lightning": "pytorch-lightning", "cleanfid": "clean-fid"},
    **{"facexlib": "facexlib", "gfpgan": "gfpgan"},
}
"""Name that is imported -> the distribution that has it. ALONE: those that bring no torchvision and no other torch."""


def assumed(folder: Path) -> tuple[str, ...]:
    """Distributions of ALONE that the scripts of one of A1111's import whenever they are loaded and nobody has here."""
    files = [*folder.glob("*.py"), *folder.glob("scripts/*.py")]
    own = {each.stem for each in (*files, *folder.iterdir()) if each.is_dir() or each.suffix == ".py"}
    names = {name.split(".")[0] for file in files for name in _imported(file)} - own
    return tuple(sorted(ALONE[name] for name in names & ALONE.keys() if importlib.util.find_spec(name) is None))


def _imported(file: Path) -> Iterator[str]:
    """Names that a file imports at its top level, where nothing catches it when they are missing."""
    try:
        body = ast.parse(file.read_bytes(), str(file)).body
    except SyntaxError:  # the trial says so
        return
    for each in body:
        if isinstance(each, ast.Import):
            yield from (name.name for name in each.names)
        elif isinstance(each, ast.ImportFrom) and each.module and not each.level:
            yield each.module
