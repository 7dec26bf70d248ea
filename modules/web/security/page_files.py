"""Files that a browser names in a picture's place are ones that were uploaded, or that the page serves to everybody.

Gradio 6 checks that only where it was launched by itself, and for pictures only where the sender says "meta": a page
that is mounted into another program would read any file of the machine for its visitors. Its one function for it is
`processing_utils.async_move_files_to_cache`, which `Blocks` looks up when it calls it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils, utils
from gradio_client.utils import is_http_url_like

_MOVE = processing_utils.async_move_files_to_cache


def guard(served: Callable[[], Sequence[Path]]) -> None:
    """From now on no file is taken from a browser but those in Gradio's folder of uploads and below `served`, links
    followed first. Holds for the whole process.
    """

    async def move(
        data: Any,
        block: Any,
        postprocess: bool = False,
        check_in_upload_folder: bool = False,
        keep_in_cache: bool = False,
    ) -> Any:
        if not postprocess and not isinstance(block, gr.JSON):
            check(data, (utils.get_upload_folder(), *served()))
        return await _MOVE(data, block, postprocess, check_in_upload_folder, keep_in_cache)

    processing_utils.async_move_files_to_cache = move


def check(data: Any, roots: Sequence[str | Path]) -> None:
    """Raises gr.Error where what a browser sent names a file elsewhere, whatever else it says of it."""
    for path in _paths(data):
        if is_http_url_like(path):  # `page_fetching` has rules of its own
            continue
        real = _real(path)
        if not any(os.path.commonpath([real, root]) == root for root in map(_real, roots) if _comparable(real, root)):
            raise gr.Error("This file was not uploaded.")


def _paths(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        if isinstance(path := data.get("path"), str):
            yield path
        data = list(data.values())
    for each in data if isinstance(data, list | tuple) else ():
        yield from _paths(each)


def _real(path: str | Path) -> str:
    try:
        return os.path.normcase(os.path.realpath(path))
    except (OSError, ValueError):  # NUL in it
        raise gr.Error("This is no name of a file.") from None


def _comparable(one: str, other: str) -> bool:
    """On one drive."""
    return os.path.splitdrive(one)[0] == os.path.splitdrive(other)[0]
