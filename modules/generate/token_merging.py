"""The settings `token_merging_ratio*`: attention over fewer tokens while a job samples. `run` calls `merged`, infotexts
ask `ratio`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from modules.generate.request import Img2Img
from modules.loading import merged_tokens

if TYPE_CHECKING:
    from modules.generate.moments import Sampled, Sampling
    from modules.generate.plan import Plan
    from modules.generate.studio import Studio


def ratio(work: Plan, *, again: bool = False) -> float:
    """The share of tokens that is merged, 0 = none; again: in the second pass of hires fix. The first of A1111's
    settings that is not zero.
    """
    options, usual = work.options, float(work.options["token_merging_ratio"])
    if again:
        return float(options["token_merging_ratio_hr"]) or usual
    if isinstance(work.request, Img2Img):
        own = usual if "token_merging_ratio" in work.request.override_settings else 0.0
        return own or float(options["token_merging_ratio_img2img"]) or usual
    return usual


@contextlib.contextmanager
def merged(studio: Studio, work: Plan) -> Iterator[Studio]:
    """The studio of a job whose models merge tokens where the options want it; as they were afterwards."""
    shares = {False: ratio(work), True: ratio(work, again=True) if work.hires else 0.0}
    if not any(shares.values()):
        yield studio
        return
    taken: list[Callable[[], None]] = []

    def off(event: Sampled | None = None) -> None:
        while taken:
            taken.pop()()

    def on(event: Sampling) -> None:
        off()
        if share := shares[event.plan.earlier_calls is not None]:
            taken.append(merged_tokens.put_on(event.model.unet, share))

    own = studio.moments
    moments = dataclasses.replace(own, sampling=own.sampling.followed(on), sampled=own.sampled.followed(off))
    try:
        yield dataclasses.replace(studio, moments=moments)
    finally:
        off()
