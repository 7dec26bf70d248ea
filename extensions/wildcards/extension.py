"""Wildcards: `__files__` of words and `{one|of|these}` in prompts and negative prompts; the seed decides.

The infotext has the prompt as it was drawn, and the template it came from.
"""

from __future__ import annotations

import dataclasses
from random import Random
from typing import TYPE_CHECKING, Any

from modules.plugins.api import ExtensionApi, Option

from . import grammar
from .files import Files

if TYPE_CHECKING:
    from modules.generate.moments import Planned
    from modules.generate.plan import Plan

ENABLED = "wildcards_enabled"


def register(app: ExtensionApi) -> None:
    files = Files([app.user_data / "wildcards", app.folder / "wildcards"])
    app.option(
        Option(
            key=ENABLED,
            default=True,
            kind="bool",
            label="Resolve __wildcards__ and {choices|in braces} in prompts",
            help="Files are wildcards/*.txt in the data folder, a choice a line.",
        ),
        section="Wildcards",
    )
    app.on(app.moments.planned, Wildcards(files).planned)


class Wildcards:
    """The listener of all jobs."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def planned(self, event: Planned) -> None:
        """Each picture's prompts are drawn by its own seed. Raises nothing: what cannot be resolved is told."""
        plan = event.plan
        templates = {*plan.prompts, *plan.negative_prompts}
        if not plan.options[ENABLED] or not any(map(grammar.is_template, templates)):
            return
        event.plan = self._drawn(plan)

    def _drawn(self, plan: Plan) -> Plan:
        from modules.generate import hires

        notes: list[str] = []
        prompts = tuple(self._one(text, seed, notes) for text, seed in zip(plan.prompts, plan.seeds, strict=True))
        negatives = tuple(
            self._one(text, seed + 1, notes) for text, seed in zip(plan.negative_prompts, plan.seeds, strict=True)
        )
        told = tuple(dict.fromkeys((*plan.notes, *notes)))

        def templates(work: Plan, index: int) -> dict[str, Any]:
            written = {
                "Template": (plan.prompts[index], prompts[index]),
                "Negative Template": (plan.negative_prompts[index], negatives[index]),
            }
            return {label: template for label, (template, drawn) in written.items() if template != drawn}

        changed = dataclasses.replace(
            plan, prompts=prompts, negative_prompts=negatives, notes=told, tellers=(*plan.tellers, templates)
        )
        return hires.following(plan, changed) if plan.hires else changed

    def _one(self, template: str, seed: int, notes: list[str]) -> str:
        try:
            drawn = grammar.resolved(template, self._files.lines, Random(seed))
        except ValueError as error:
            notes.append(f'Wildcards: "{template[:80]}" {error}; left as it is.')
            return template
        for missing in grammar.unknown(drawn):
            notes.append(f"Wildcards: there is no file for __{missing}__.")
        return drawn
