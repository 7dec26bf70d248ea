"""Custom code: Python from the page, run as the body of a function. Only where the owner started with --allow-code.

What it is given: `p` (the request as an object whose fields may be set), `process_images(p)` (makes a cell; the answer
has `images()`, `infotexts`, `seed`, `info`), `display(images)` (shows pictures of its own) and `context`. It may return
an answer of `process_images`.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from modules.core.errors import BadRequest, EaselError, Interrupted
from modules.core.types import JsonObject
from modules.generate.scripts import info
from modules.generate.scripts.context import Context, Made, Request, Result
from modules.generate.scripts.registry import Argument, Menus, Script, Tab

EXAMPLE = """p.width = 768
p.height = 768
p.batch_size = 2
p.steps = 10

return process_images(p)
"""

REFUSAL = "custom code is switched off: who owns this Easel can start it with --allow-code."


def script(*, allowed: bool) -> Script:
    return Script(title="Custom code", run=run, arguments=arguments, check=check, refusal="" if allowed else REFUSAL)


def arguments(tab: Tab, menus: Menus) -> list[Argument]:
    return [
        Argument(name="code", label="Python code", kind="text", default=EXAMPLE),
        Argument(name="indent", label="Indent level", kind="int", default=2),
    ]


def check(tab: Tab, menus: Menus, options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    _compiled(given["code"])


def run(context: Context, request: Request, given: Mapping[str, Any]) -> Result:
    """What the code returns or displays. Raises EaselError with the code's own error and its line."""
    shown: list[Image.Image] = []
    newest: list[Made] = []
    names = {field.name for field in dataclasses.fields(request)}

    def process_images(p: Any) -> Made:
        changed = {name: value for name, value in vars(p).items() if name in names}
        newest.append(context.make(dataclasses.replace(request, **_frozen(changed))))
        return newest[-1]

    def display(images: Sequence[Image.Image], *further: Any) -> None:
        shown[:] = images

    p = types.SimpleNamespace(**{name: getattr(request, name) for name in names})
    known = {"p": p, "process_images": process_images, "display": display, "context": context, "Image": Image}
    answer = _called(given["code"], known)
    if isinstance(answer, Made):
        return Result(pictures=answer.pictures, info=answer.info)
    return _shown(context, request, shown, newest)


def _frozen(changed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in changed.items()}


def _compiled(code: str) -> types.CodeType:
    """The code as a function's body. Raises BadRequest with the line of a mistake in it."""
    indented = "\n".join(f"    {line}" for line in code.splitlines()) or "    pass"
    try:
        return compile(f"def custom_code():\n    pass\n{indented}\n", "custom code", "exec")
    except (SyntaxError, ValueError) as error:
        line = (getattr(error, "lineno", None) or 2) - 2
        raise BadRequest(f"script_args: the code has a mistake in line {line}: {error}", field="script_args") from error


def _called(code: str, known: JsonObject) -> Any:
    space = dict(known)
    exec(_compiled(code), space)
    try:
        return space["custom_code"]()
    except (EaselError, Interrupted):
        raise
    except Exception as error:
        trace, line = error.__traceback__, 0
        while trace is not None:
            line = trace.tb_lineno - 2 if trace.tb_frame.f_code.co_name == "custom_code" else line
            trace = trace.tb_next
        raise EaselError(f"The custom code failed in line {line}: {type(error).__name__}: {error}") from error


def _shown(context: Context, request: Request, images: Sequence[Image.Image], newest: Sequence[Made]) -> Result:
    """Pictures that the code displayed; their texts are empty."""
    told = newest[-1] if newest else Made({"pictures": [], "info": info.bare(context, request)})
    entries = [context.keep(image, "", made=told, request=request, kind="sample", saved=False) for image in images]
    return Result(pictures=entries, info={**told.info, "infotexts": [""] * len(entries)})
