"""Texts and JSON of other programs -> A1111's infotext. `web` asks, for pictures without one of A1111's own and for
what is pasted.

    forge, sdnext, civitai   infotexts with other labels            (file `kin`)
    invokeai                 JSON, and the command line of 1.x
    comfyui                  the graph of nodes, as run or as drawn
    novelai                  JSON, with emphasis of its own
    fooocus, swarmui, drawthings   JSON                             (file `plain_json`)

Each reader takes a `Source` and gives a `Translation`, or None for what its program did not write. What has no label
in A1111 keeps the name that its program gives it. Nothing that stands in a picture makes a reader raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modules.prompts import infotext as a1111
from modules.prompts.importing.comfyui import read as read_comfyui
from modules.prompts.importing.invokeai import read as read_invokeai
from modules.prompts.importing.kin import civitai, forge, sdnext
from modules.prompts.importing.novelai import read as read_novelai
from modules.prompts.importing.novelai import signed as signed_by_novelai
from modules.prompts.importing.plain_json import drawthings, fooocus, swarmui
from modules.prompts.importing.translation import Source, Translation

__all__ = ["READERS", "Source", "Translation", "parse", "recognise", "shown", "translate"]

READERS: Mapping[str, Callable[[Source], Translation | None]] = {
    "Forge": forge,
    "SD.Next": sdnext,
    "Civitai": civitai,
    "NovelAI": read_novelai,
    "InvokeAI": read_invokeai,
    "SwarmUI": swarmui,
    "Fooocus": fooocus,
    "Draw Things": drawthings,
    "ComfyUI": read_comfyui,
}
"""Asked in this order; the first that recognises its own answers."""


def recognise(source: Source) -> Translation | None:
    """What another program says in the picture; None if no reader knows it. Raises nothing."""
    return next((found for reader in READERS.values() if (found := reader(source)) is not None), None)


def translate(infotext: str | None, items: Mapping[str, str], size: tuple[int, int] | None = None) -> str | None:
    """The infotext as A1111 would have written it; None for A1111's own and for what nobody knows. Raises nothing.

    infotext and items are those of a picture's metadata, size its (width, height), which stands in where the text
    names none.
    """
    found = recognise(Source(infotext=infotext or "", items=items, size=size))
    return found.text if found else None


def shown(infotext: str | None, items: Mapping[str, str], size: tuple[int, int] | None = None) -> str:
    """What PNG Info shows as the picture's parameters, "" if there are none: an infotext as it stands, also one with
    the labels of another program (`parse` reads those), else the translation. Raises nothing.
    """
    source = Source(infotext=infotext or "", items=items, size=size)
    if source.is_infotext and not signed_by_novelai(source):
        return source.infotext
    found = recognise(source)
    return found.text if found else source.infotext


def parse(text: str) -> dict[str, str]:
    """`infotext.parse` for a text of any program: A1111's labels and values. Raises nothing."""
    found = recognise(Source(infotext=text, items={}, size=None))
    return found.parsed if found else a1111.parse(text)
