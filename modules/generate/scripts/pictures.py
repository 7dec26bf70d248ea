"""Pictures that scripts put together themselves (grids, joined tiles): into files, with text, name and history."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from PIL import Image

from modules.core.types import JsonObject
from modules.generate.moments import Moments, Saved, Saving
from modules.generate.save import Kept
from modules.generate.scripts.context import Made, Request
from modules.generate.scripts.registry import Tab
from modules.imaging import filenames, saving
from modules.imaging.filenames import NameFacts
from modules.imaging.policy import Kind, SavePolicy
from modules.settings.options import Snapshot


@dataclasses.dataclass(frozen=True, kw_only=True)
class Keeper:
    """Keeps pictures of one job. The fields are those of `generate.save.Album`; record gets the model's name too."""

    tab: Tab
    options: Snapshot
    data: Path
    spool: Path
    moments: Moments
    record: Callable[[Kept, str], None]
    clock: Callable[[], datetime] = datetime.now

    def __call__(
        self, image: Image.Image, infotext: str, *, made: Made, request: Request, kind: Kind, saved: bool, basename: str
    ) -> JsonObject:
        """Write it where the options want it -> its entry. Raises EaselError when the disk refuses."""
        event = Saving(image=image, infotext=infotext)
        self.moments.saving.fire(event)
        options = self.options.overlay(request.override_settings)
        policy, now, facts = SavePolicy.of(options, kind=kind, tab=self.tab), self.clock(), _facts(made, request)
        if basename:
            policy = dataclasses.replace(policy, basename=basename, short=False)
        if saved:
            folder = filenames.folder(self.data, policy, facts, image=event.image, now=now)
        else:
            folder, policy = self.spool, spooled(policy)
        done = saving.save(event.image, event.infotext, folder=folder, name=facts, policy=policy, now=now)
        self.moments.saved.fire(Saved(path=done.path, infotext=event.infotext))
        size = event.image.size
        kept = Kept(path=done.path, infotext=event.infotext, saved=saved, kind=kind, seed=facts.seed or 0, size=size)
        self.record(kept, facts.model_name or "")
        return kept.to_json()


def spooled(policy: SavePolicy) -> SavePolicy:
    """For a picture that is only fetched: alone, under a plain name."""
    return dataclasses.replace(policy, pattern="[seed]", add_number=True, save_txt=False, export_for_4chan=False)


def _facts(made: Made, request: Request) -> NameFacts:
    info = made.info
    return NameFacts(
        seed=info["seed"],
        seeds=tuple(info["all_seeds"]),
        prompt=info["prompt"],
        negative_prompt=info["negative_prompt"],
        styles=request.styles,
        steps=info["steps"],
        cfg_scale=info["cfg_scale"],
        sampler=info["sampler_name"],
        scheduler=request.scheduler,
        model_name=info["sd_model_name"],
        model_hash=info["sd_model_hash"],
        clip_skip=info["clip_skip"],
        job_timestamp=info.get("job_timestamp"),
    )
