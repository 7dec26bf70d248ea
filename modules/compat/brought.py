"""Python packages that A1111 or its repositories bring and Easel does not: what is said when a script misses one."""

from __future__ import annotations

from modules.plugins.installing.assumed import PACKAGES

REPOSITORIES = frozenset({"ldm", "k_diffusion", "sgm"})
"""Packages of the repositories that A1111 clones."""


def advice(error: BaseException) -> str:
    """The way out after a failed import, as a sentence with a space before it; "" where none is known."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    top = error.name.split(".")[0]
    if top in REPOSITORIES:
        return f" (Of {top}, A1111's model code, Easel has what extensions mostly use, and not {error.name}.)"
    if top == "torchvision":
        return " (Easel has torchvision's transforms; for more, install one that fits the installed torch.)"
    if top in PACKAGES:
        return f" (A1111 brings this package, Easel does not: install {PACKAGES[top]} into Easel's environment.)"
    return ""
