"""Prompts from file or textbox: one request for each line; a line may set fields: `--prompt "a cat" --steps 5`."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from modules.core.errors import BadRequest
from modules.generate.scripts import info
from modules.generate.scripts.axes import with_field, with_setting
from modules.generate.scripts.context import Context, Request, Result
from modules.generate.scripts.registry import Argument, Menus, Script, Tab

TITLE = "Prompts from file or textbox"


def script() -> Script:
    return Script(title=TITLE, run=run, arguments=arguments)


def arguments(tab: Tab, menus: Menus) -> list[Argument]:
    places = ("start", "end")
    return [
        Argument(name="iterate", label="Iterate seed every line", kind="bool", default=False),
        Argument(name="same_seed", label="Use same random seed for all lines", kind="bool", default=False),
        Argument(name="place", label="Insert prompts at the", kind="choice", default="start", choices=places),
        Argument(name="lines", label="List of prompt inputs", kind="text", default=""),
    ]


def _true(text: str) -> bool:
    return text.lower() == "true"


WORDS: Mapping[str, Callable[[str], Any]] = {
    "prompt": str,
    "negative_prompt": str,
    "styles": str,
    "seed": int,
    "subseed": int,
    "subseed_strength": float,
    "seed_resize_from_h": int,
    "seed_resize_from_w": int,
    "sampler_name": str,
    "batch_size": int,
    "n_iter": int,
    "steps": int,
    "cfg_scale": float,
    "width": int,
    "height": int,
    "restore_faces": _true,
    "tiling": _true,
    "do_not_save_samples": _true,
    "do_not_save_grid": _true,
}
"""What a line can set, and how it is read."""

SETTINGS: Mapping[str, str] = {
    "sd_model": "sd_model_checkpoint",
    "outpath_samples": "outdir_samples",
    "outpath_grids": "outdir_grids",
}
"""Words for settings of the line alone."""

IGNORED = ("prompt_for_display",)
JOINED = ("prompt", "negative_prompt")
"""These take all words up to the next "--"."""


def read(line: str) -> dict[str, Any]:
    """One line -> fields and settings by the names they are written with. Raises ValueError saying what is wrong.

    A line without "--" is a prompt.
    """
    if "--" not in line:
        return {"prompt": line}
    words = shlex.split(line)
    found: dict[str, Any] = {}
    while words:
        option = words.pop(0)
        name = option.removeprefix("--")
        if name == option:
            raise ValueError(f'"{option}" should begin with --')
        if not words:
            raise ValueError(f"{option} has no value")
        if name in JOINED:
            until = next((place for place, word in enumerate(words) if place and word.startswith("--")), len(words))
            found[name] = " ".join(words[:until])
            del words[:until]
        elif name in WORDS or name in SETTINGS or name in IGNORED:
            found[name] = _value(name, words.pop(0))
        else:
            raise ValueError(f"{option} is unknown; known are {', '.join(f'--{word}' for word in (*WORDS, *SETTINGS))}")
    return found


def _value(name: str, text: str) -> Any:
    try:
        return WORDS.get(name, str)(text)
    except ValueError:
        raise ValueError(f'--{name} wants a number, not "{text}"') from None


def run(context: Context, request: Request, given: Mapping[str, Any]) -> Result:
    """The pictures of every line, one after the other. A line that cannot be read is a prompt, and a remark says so."""
    lines = [line for line in (line.strip() for line in given["lines"].splitlines()) if line]
    wishes = [_wishes(context, number, line) for number, line in enumerate(lines, 1)]
    if given["iterate"] or given["same_seed"]:
        request = context.seeded(request)
    request = dataclasses.replace(request, do_not_save_grid=True)
    context.expect(1, batches=sum(wish.get("n_iter", request.n_iter) for wish in wishes))
    seed, made = request.seed, []
    for number, wish in enumerate(wishes, 1):
        if context.interrupted:
            break
        cell = _applied(context, dataclasses.replace(request, seed=seed), wish, at_start=given["place"] == "start")
        made.append(context.make(cell, text=f"{number} out of {len(wishes)}"))
        if given["iterate"]:
            seed += request.batch_size * request.n_iter
    if not lines:
        context.notes.append(f"{TITLE}: there is no line with a prompt.")
    pictures = [picture for one in made for picture in one.pictures]
    told = info.bare(
        context,
        request,
        infotexts=[picture["infotext"] for picture in pictures],
        seed=seed,
        all_prompts=[prompt for one in made for prompt in one.info["all_prompts"]],
    )
    return Result(pictures=pictures, info=told)


def _wishes(context: Context, number: int, line: str) -> dict[str, Any]:
    try:
        return read(line)
    except ValueError as error:
        context.notes.append(f"{TITLE}, line {number}: {error}. The whole line was taken as a prompt.")
        return {"prompt": line}


def _applied(context: Context, request: Request, wishes: Mapping[str, Any], *, at_start: bool) -> Request:
    """The request of a line. Its prompts are put before or after those of the request."""
    cell = request
    for name, value in wishes.items():
        if name in SETTINGS:
            chosen = context.menus.find_checkpoint(value) if name == "sd_model" else value
            cell = with_setting(cell, SETTINGS[name], chosen)
        elif name == "styles":
            cell = dataclasses.replace(cell, styles=tuple(style.strip() for style in value.split(",")))
        elif name in JOINED:
            cell = with_field(cell, name, _joined(getattr(request, name), value, at_start=at_start))
        elif name not in IGNORED:
            cell = with_field(cell, name, _large_enough(name, value))
    return cell


def _joined(own: str, new: str, *, at_start: bool) -> str:
    """Both prompts, the line's before or behind; where one is empty the line's alone counts."""
    return " ".join((new, own) if at_start else (own, new)) if own and new else new


def _large_enough(name: str, value: Any) -> Any:
    if name in ("width", "height") and value < 8:
        raise BadRequest(f"{TITLE}: --{name} must be at least 8, not {value}.", field="script_args")
    return value
