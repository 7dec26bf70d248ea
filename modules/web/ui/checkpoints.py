"""The checkpoint menu and what the page says while there is nothing to choose. Called by `settings` and `page`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modules.core.errors import DamagedFile, NoCheckpoint, NotFound
from modules.loading.families import USUAL_GUIDANCE
from modules.loading.library import no_checkpoint_message
from modules.web.ui import markup

if TYPE_CHECKING:
    from modules.web.services import Services

KEY = "sd_model_checkpoint"


def titles(services: Services) -> list[str]:
    """The usable checkpoints, as the menu lists them."""
    return [checkpoint.title for checkpoint in services.library.checkpoints()]


def current(services: Services) -> str | None:
    """The title of the checkpoint that the next picture is made with; None where there is none."""
    wanted = services.options.snapshot()[KEY]
    try:
        return services.library.chosen(wanted).title
    except (NotFound, DamagedFile):
        return str(wanted)
    except NoCheckpoint:
        return None


def native_size(services: Services) -> int:
    """The side in pixels that the chosen checkpoint was made for, 64..2048: what width and height begin with."""
    try:
        return min(max(services.library.chosen(services.options.snapshot()[KEY]).native_size, 64), 2048)
    except (NotFound, DamagedFile, NoCheckpoint):
        return 512


def guidance(services: Services) -> float:
    """The CFG scale that the chosen checkpoint asks for, 1..30: what the slider begins with."""
    try:
        return services.library.chosen(services.options.snapshot()[KEY]).guidance
    except (NotFound, DamagedFile, NoCheckpoint):
        return USUAL_GUIDANCE


def chosen(services: Services, title: str | None) -> str | None:
    """What to keep for a choice of the menu.

    NotFound, DamagedFile for a file that has gone or changed since the page was opened.
    """
    return services.library.find(title).title if title else None


def problems(services: Services) -> str:
    """The files that lie among the checkpoints and cannot be used, "" when there are none."""
    found = [(checkpoint.name, checkpoint.problem or "") for checkpoint in services.library.problems()]
    return markup.problems(found) if found else ""


def notice(services: Services) -> str:
    """The panel for a program without any checkpoint, "" when there is one."""
    if services.library.checkpoints():
        return ""
    return markup.no_checkpoint(no_checkpoint_message(services.paths.checkpoints)) + problems(services)
