"""FreeU: better pictures from the same UNet, by weighing its two flows anew (Si et al. 2023, arXiv 2309.11497)."""

from __future__ import annotations

from typing import Any

from modules.plugins.api import Argument, ExtensionApi, flag, number

PARAMETERS = (
    flag("enabled", "Enable FreeU", infotext="FreeU"),
    Argument(
        name="version",
        label="Version",
        kind="choice",
        default="2",
        choices=("1", "2"),
        infotext="FreeU version",
        help="2 weighs the backbone by what it shows at each place.",
    ),
    number("b1", "Backbone, deep", 1.3, 0, 3, 0.01, infotext="FreeU b1"),
    number("b2", "Backbone, middle", 1.4, 0, 3, 0.01, infotext="FreeU b2"),
    number("s1", "Skip, deep", 0.9, 0, 3, 0.01, infotext="FreeU s1"),
    number("s2", "Skip, middle", 0.2, 0, 3, 0.01, infotext="FreeU s2"),
    number("start", "From share of steps", 0, 0, 1, 0.01, infotext="FreeU start"),
    number("end", "To share of steps", 1, 0, 1, 0.01, infotext="FreeU end"),
)


def register(app: ExtensionApi) -> None:
    def begin(*asked: Any) -> object:
        from . import freeu  # imports torch: not before a job asks for it

        return freeu.FreeU(*asked)

    app.always_on("FreeU", PARAMETERS, begin)
