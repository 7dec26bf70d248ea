"""Block-wise merging: a multiplier for each block of the UNet (bbc-mc's "MBW", https://github.com/bbc-mc)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from modules.core.errors import BadRequest

PLACES = 12
"""IN00..IN11 or OUT00..OUT11 of Stable Diffusion 1 and 2; with M00 that makes 25."""
_BLOCK = re.compile(r"model\.diffusion_model\.(input|middle|output)_blocks?\.(\d+)\.")


def multipliers(names: Collection[str], weights: Sequence[float], base: float) -> Callable[[str], float]:
    """Name of a tensor -> its multiplier. weights: IN00…, M00, OUT00… in order, 25 of them or as many as the model has
    blocks; (): `base` everywhere. What lies before the blocks goes with the first, what comes after with the last; text
    encoder and VAE have `base`. Raises BadRequest for another count.
    """
    if not weights:
        return lambda name: base
    found = {(match[1], int(match[2])) for name in names if (match := _BLOCK.match(name))}
    ins, outs = (1 + max((index for side, index in found if side == kind), default=-1) for kind in ("input", "output"))
    if len(weights) not in (2 * PLACES + 1, ins + 1 + outs):
        wanted = f"{ins + 1 + outs} (IN00…, M00, OUT00…) or {2 * PLACES + 1}"
        raise BadRequest(f"block_weights: {len(weights)} numbers; this model takes {wanted}.", field="block_weights")
    middle = PLACES if len(weights) == 2 * PLACES + 1 else ins

    def multiplier(name: str) -> float:
        match = _BLOCK.match(name)
        if match:
            side, index = match[1], int(match[2])
            return weights[{"input": index, "middle": middle, "output": middle + 1 + index}[side]]
        if name.startswith(("model.diffusion_model.time_embed.", "model.diffusion_model.label_emb.")):
            return weights[0]
        return weights[-1] if name.startswith("model.diffusion_model.out.") else base

    return multiplier
