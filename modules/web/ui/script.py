"""What the page's own script asks the server for: words to suggest, and the texts of the chosen language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from modules.core.errors import EaselError
from modules.web.ui import cards, localization
from modules.web.ui.island import island
from modules.web.ui.tags import Words

if TYPE_CHECKING:
    from modules.core.types import JsonObject
    from modules.web.services import Services


def build(services: Services) -> Any:
    """Make the island, at the end of the page."""
    words = Words(services.paths.data / "tags", lambda: networks(services))

    def suggest(asked: JsonObject) -> list[JsonObject]:
        return words.suggest(str(asked["word"]))

    def language(asked: JsonObject) -> Mapping[str, str]:
        chosen = str(services.options.snapshot()["localization"])
        return localization.texts(services.paths, chosen, services.additions.translations.all())

    return island("page", "easel_page", {"suggest": suggest, "language": language})


def networks(services: Services) -> Iterable[tuple[str, str]]:
    """What prompts may name: (text for the prompt, kind)."""
    weight = f"{services.options.snapshot()['extra_networks_default_multiplier']:g}"
    for kind in cards.kinds(services):
        if kind.id == "checkpoints":
            continue
        try:
            found = kind.entries()
        except EaselError:
            continue
        yield from ((entry.text.replace("{weight}", weight), kind.title) for entry in found)
