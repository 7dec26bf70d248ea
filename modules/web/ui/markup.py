"""The page's own HTML, as pure functions of plain values; every text from outside is escaped here.

Called by the tabs. Nothing in this file knows Gradio.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from modules.jobs.progress import Progress

PREVIEW_FORMATS = {"png": "PNG", "jpeg": "JPEG", "jpg": "JPEG", "webp": "WEBP"}


def escape(text: object) -> str:
    """Text as HTML that shows exactly it, line breaks kept."""
    return html.escape(str(text)).replace("\n", "<br>")


def duration(seconds: float) -> str:
    """Seconds as a person says them: 4.2 s, 1 min 12 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def progress_words(progress: Progress) -> str:
    """What the bar says: the place in the queue, or step, batch and the time left."""
    if progress.state == "pending":
        return f"Waiting, number {max(progress.queue_position, 1)} in the queue"
    parts = []
    if progress.interrupted:
        parts.append("Interrupting")
    elif progress.text:
        parts.append(progress.text)
    if progress.steps:
        parts.append(f"Step {min(progress.step, progress.steps)}/{progress.steps}")
    if progress.batches > 1:
        parts.append(f"Batch {min(progress.batch + 1, progress.batches)}/{progress.batches}")
    if progress.eta is not None:
        parts.append(f"ETA {duration(progress.eta)}")
    return " · ".join(parts) or "Preparing"


def progress_bar(progress: Progress, *, in_title: bool) -> str:
    """The bar; `in_title` adds what script.js writes in front of the browser tab's title."""
    percent = round(100 * min(max(progress.fraction, 0.0), 1.0))
    words = progress_words(progress)
    title = f"[{percent}%{'' if progress.eta is None else ' ETA: ' + duration(progress.eta)}] " if in_title else ""
    label = f"<span>{percent}%</span> <span>{escape(words)}</span>"
    return (
        f'<div class="progressDiv" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}"'
        f' aria-label="{html.escape(words)}" data-title="{html.escape(title)}">'
        f'<div class="progress" style="width:{percent}%"></div><div class="progressText">{label}</div></div>'
    )


def data_url(image: Image.Image, format_name: str) -> str:
    """A preview picture as a data: URL; format_name is png, jpeg or webp (anything else counts as png)."""
    kind = PREVIEW_FORMATS.get(format_name.lower(), "PNG")
    packed = io.BytesIO()
    (image.convert("RGB") if kind == "JPEG" else image).save(packed, kind)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(packed.getvalue()).decode("ascii")


def live_preview(image: Image.Image, format_name: str) -> str:
    """The picture in the making, laid over the gallery."""
    return f'<img class="livePreview" alt="The picture so far" src="{data_url(image, format_name)}">'


def infotext(text: str) -> str:
    """Generation parameters under the gallery, with a button that copies them as they are."""
    if not text:
        return ""
    return (
        f'<div class="infotext"><button type="button" class="easel-copy" title="Copy the parameters"'
        f' data-copy="{html.escape(text)}">Copy</button><p>{escape(text)}</p></div>'
    )


def error(message: str) -> str:
    """A failure, in words."""
    return f'<p class="error" role="alert">{escape(message)}</p>'


def note(message: str) -> str:
    """Something worth knowing that is no failure."""
    return f'<p class="comments">{escape(message)}</p>'


def log(comments: Sequence[str], seconds: float | None, memory: str = "") -> str:
    """What the run had to say, the time it took, and the memory in use (`memory_words`)."""
    used = f" · <span>{escape(memory)}</span>" if memory else ""
    time = "" if seconds is None else f'<p class="performance">Time taken: <b>{duration(seconds)}</b>{used}</p>'
    return "".join(note(comment) for comment in comments) + time


def memory_words(memory: Mapping[str, Any]) -> str:
    """ "RAM 2.1 GB · GPU 5.0 of 8.0 GB" of the record that /sdapi/v1/memory has; "" where nothing is known."""
    parts = []
    ram, system = memory.get("ram") or {}, (memory.get("cuda") or {}).get("system") or {}
    if ram.get("used"):
        parts.append(f"RAM {ram['used'] / 1e9:.1f} GB")
    if system.get("used"):
        peak = ((memory.get("cuda") or {}).get("reserved") or {}).get("peak") or system["used"]
        parts.append(f"GPU {peak / 1e9:.1f} / {system['total'] / 1e9:.1f} GB")
    return " · ".join(parts)


def token_counter(count: int, capacity: int) -> str:
    """Tokens used / tokens that the prompt's chunks hold."""
    return f'<span class="token-count" title="Tokens in the prompt / room in its chunks">{count}/{capacity}</span>'


def picture_text(text: str | None, items: Mapping[str, str]) -> str:
    """What a picture file says about itself: its parameters first, then its other text fields."""
    entries = ([("parameters", text)] if text else []) + [(key, value) for key, value in items.items() if value != text]
    if not entries:
        return note("There is no text in this picture.")
    return "".join(f'<div class="infotext"><b>{escape(key)}</b><p>{escape(value)}</p></div>' for key, value in entries)


def no_checkpoint(message: str) -> str:
    """The panel on top of txt2img while there is no model."""
    return f'<div class="easel-panel" role="status"><b>No model yet</b><p>{escape(message)}</p></div>'


def problems(files: Sequence[tuple[str, str]]) -> str:
    """Files that lie among the models and cannot be used: (name, reason)."""
    lines = "".join(f"<li><b>{escape(name)}</b>: {escape(reason)}</li>" for name, reason in files)
    count = f"{len(files)} model file{'s' if len(files) != 1 else ''}"
    return f'<details class="easel-problems"><summary>{count} that cannot be used</summary><ul>{lines}</ul></details>'


def section_links(sections: Sequence[tuple[str, str]]) -> str:
    """The list beside the settings: (element id, title); script.js scrolls to them."""
    buttons = "".join(
        f'<button type="button" data-goto="{html.escape(name)}">{escape(title)}</button>' for name, title in sections
    )
    return f'<nav class="easel-sections" aria-label="Sections">{buttons}</nav>'


def changes(found: Sequence[tuple[str, object, object]]) -> str:
    """A table of (name, before, now)."""
    if not found:
        return note("Nothing differs from what the page begins with.")
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(before)}</td><td>{escape(now)}</td></tr>'
        for name, before, now in found
    )
    head = '<tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">Now</th></tr>'
    return f'<table class="easel-table"><thead>{head}</thead><tbody>{cells}</tbody></table>'


def footer(version: str, *, api: bool, docs_url: str) -> str:
    """The last line of the page."""
    link = f' · <a href="{html.escape(docs_url)}" target="_blank">API</a>' if api else ""
    keys = '<button type="button" data-easel-action="easelShowKeys">Keyboard (?)</button>'
    scheme = '<button type="button" data-easel-action="easelTurnScheme">Light or dark</button>'
    return f'<div class="versions"><span>Easel {escape(version)}</span>{link} · {keys} · {scheme}</div>'


def missing(paths: Sequence[Path]) -> str:
    """A sentence about result files that were moved or deleted since ("" when none was)."""
    if not paths:
        return ""
    names = ", ".join(path.name for path in paths[:3]) + (", …" if len(paths) > 3 else "")
    return f"No longer on disk: {names}."
