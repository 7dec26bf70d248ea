"""Regional prompting, by the keywords of the extension that is known as Regional Prompter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.plugins.api import Argument, ExtensionApi, flag, number

from . import regions

PARAMETERS = (
    flag(
        "enabled", "Enable regional prompting", infotext="Regional prompting", help="BREAK parts the prompt's regions."
    ),
    Argument(
        name="divide",
        label="Divide into",
        kind="choice",
        default="Columns",
        choices=("Columns", "Rows"),
        infotext="Regional prompting divide",
    ),
    Argument(
        name="ratios",
        label="Ratios",
        kind="text",
        default="1,1",
        infotext="Regional prompting ratios",
        help="1,2: the second twice as wide. 1,2,1;2,1: two rows, the second twice as high; their columns follow.",
    ),
    number("base_ratio", "Weight of the base prompt", 0.2, 0, 1, 0.01, infotext="Regional prompting base ratio"),
    flag("base", "First part is the base prompt", infotext="Regional prompting base", help="As ADDBASE after it."),
    flag("common", "Next part is in every region", infotext="Regional prompting common", help="As ADDCOMM after it."),
    Argument(
        name="mode",
        label="Mode",
        kind="choice",
        default="Attention",
        choices=("Attention", "Latent"),
        infotext="Regional prompting mode",
        help="Attention: UNets, quick. Latent: any model, asked once more for every region.",
    ),
)


def register(app: ExtensionApi) -> None:
    def begin(*asked: Any) -> object:
        from . import regional  # imports torch: not before a job asks for it

        return regional.begin(*asked)

    app.always_on("Regional prompting", PARAMETERS, begin, check=check)


def check(values: Mapping[str, Any]) -> None:
    """Raises BadRequest for ratios that cannot be read."""
    regions.layout(values["ratios"], values["divide"])
