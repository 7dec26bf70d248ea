"""Parts of the page that its own script draws: lists that live (queue, history, cards). Built by their tabs.

An island is an HTML element and a table of questions. The script asks `ask("name", {...})` and gets JSON, over Gradio's
own connection, so that the page's login holds for it too; what it wants done elsewhere on the page it says by an event
(`island.sent(handler, …)` in Python, `tell({...})` in the script).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.core.errors import EaselError

if TYPE_CHECKING:
    from modules.core.types import JsonObject

log = logging.getLogger(__name__)

Answers = Mapping[str, Callable[["JsonObject"], Any]]
"""Name of a question -> what answers it: an object in, JSON out. EaselError is told to whoever asked."""

START = """
const ask = async (name, told) => easelAnswer(await server.answer([name, told || {}]));
easelIsland("%s", element, ask, (told) => trigger("sent", told));
"""


def island(kind: str, elem_id: str, answers: Answers, *, content: str = "") -> Any:
    """An element that the script's part `kind` fills, or finds `content` (HTML) in."""

    def answer(asked: Any) -> JsonObject:
        """[name, object] -> {"answer": …}, or {"error": words}."""
        return answered(answers, asked)

    return gr.HTML(
        content, elem_id=elem_id, elem_classes=["easel-island"], js_on_load=START % kind, server_functions=[answer]
    )


def answered(answers: Answers, asked: Any) -> JsonObject:
    """What a question is answered with; whatever goes wrong is said in words."""
    while isinstance(asked, list) and len(asked) == 1:
        asked = asked[0]
    if not (isinstance(asked, list) and len(asked) == 2 and isinstance(asked[1], dict) and asked[0] in answers):
        return {"error": "The page asked for something that this Easel does not know: reload the page."}
    try:
        return {"answer": answers[asked[0]](asked[1])}
    except EaselError as error:
        return {"error": str(error)}
    except (KeyError, TypeError, ValueError) as error:
        log.warning("A question of the page could not be answered: %s %r", asked[0], error)
        return {"error": f"The question was not complete ({error})."}


def told(event: gr.EventData) -> JsonObject:
    """What the script said with an event."""
    data = event._data
    return data if isinstance(data, dict) else {}
