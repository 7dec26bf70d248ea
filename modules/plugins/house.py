"""The tables of the program that extensions add to. The composition root makes one `House`; so do tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from modules.plugins.routes import Routes
from modules.web.additions import Additions

if TYPE_CHECKING:
    from modules.generate.moments import Moments
    from modules.generate.postprocess import Captioner, Steps
    from modules.generate.scripts.axes import Axes
    from modules.generate.scripts.registry import Menus, Scripts
    from modules.generate.studio import Studio
    from modules.loading.upscale.catalog import Upscalers
    from modules.samplers.catalog import Catalog
    from modules.settings.options import Options


@dataclasses.dataclass(frozen=True, kw_only=True)
class House:
    """captioners: by name; network_words: first words of tags that extensions serve; studio: what makes pictures, its
    first use imports torch; data: the user's folder; models: that of models, None: below it.
    """

    moments: Moments
    options: Options
    catalog: Catalog
    upscalers: Upscalers
    scripts: Scripts
    menus: Menus
    axes: Axes
    steps: Steps
    captioners: dict[str, Captioner]
    network_words: set[str]
    studio: Callable[[], Studio]
    data: Path
    models: Path | None = None
    additions: Additions = dataclasses.field(default_factory=Additions)
    routes: Routes = dataclasses.field(default_factory=Routes)
