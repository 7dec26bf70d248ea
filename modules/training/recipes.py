"""Every number of a training in one place: sizes of the model, lengths, rates. A recipe is a row of `RECIPES`.

"cpu" is what the shipped model is made with where there is no GPU (128 x 128); "gpu" the same at 256 x 256 for a
single accelerator; "test" goes through all stages in seconds and is good for nothing else.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from modules.core.errors import BadRequest, NotFound


@dataclasses.dataclass(frozen=True, kw_only=True)
class VaeSize:
    """channels: by level from the top, multiples of 32 (group norm); blocks: residual ones a level."""

    channels: tuple[int, ...]
    blocks: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSize:
    """A CLIP text tower; width: a multiple of 64, SD1's width of a head."""

    width: int
    layers: int
    vocabulary: int = 49408


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnetSize:
    """channels: by level, multiples of 32 and of the first (as LDM writes them); attention: where; blocks: a level."""

    channels: tuple[int, ...]
    attention: tuple[bool, ...]
    blocks: int = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """How long and how fast: steps, batch, its parts (gradient accumulation), rate with warm-up and cosine decay.

    floor: the rate at the end as a share of `rate`; ema: decay of the running mean of the weights; decay: weight decay;
    bf16: compute in bfloat16 (CUDA gains much, a CPU with AVX-512 BF16 half as much again).
    """

    steps: int
    batch: int
    rate: float
    parts: int = 1
    warmup: int = 200
    floor: float = 0.05
    ema: float = 0.999
    decay: float = 0.01
    clip: float = 1.0
    bf16: bool = False


JUDGE = Stage(steps=6500, batch=48, rate=3e-3, warmup=300, floor=0.01, ema=0.99, decay=0.05)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """pictures: painted scenes (several thousands make a file, `shard`); prediction: "eps" is what SD1 programs expect.

    gamma: of min-SNR, None = none; least: SNR as which lower ones count there; dropout: share of captions left empty,
    for classifier-free guidance; wordless: share of painted captions of which the UNet sees only the answers
    (`reading.SLOTS`) and none of the words; train_text: let diffusion go on training the text tower; crop: side of what
    the VAE sees at a time; looks: places tried for it, of which the busiest is taken; kl, edges: weights in its loss;
    anchor: share of its steps in which latents are held to colours, ever less; eyes: a reader's file
    (`modules.evaluation train`) by which polishing judges the look as well, "" = none; sight: the weight of that;
    polish_blocks: blocks a level with which it is polished, 0 = as many as it has; alike, named: weights by which a
    `judge` of latents adds to the UNet's loss how a guess looks and what it shows, 0 = not at all; again: share of a
    batch that is guessed once more, from a noised guess, and named.
    """

    name: str
    size: int
    pictures: int
    shard: int
    vae: VaeSize
    text: TextSize
    unet: UnetSize
    vae_stage: Stage
    text_stage: Stage
    unet_stage: Stage
    polish_stage: Stage
    seed: int = 1
    schedule: str = "scaled_linear"
    prediction: str = "eps"
    gamma: float | None = 5.0
    least: float = 0.0
    dropout: float = 0.1
    wordless: float = 0.0
    train_text: bool = False
    crop: int = 64
    looks: int = 2
    kl: float = 1e-4
    edges: float = 1.0
    anchor: float = 0.3
    eyes: str = ""
    sight: float = 1.5
    polish_blocks: int = 0
    judge_stage: Stage = JUDGE
    alike: float = 0.0
    named: float = 0.0
    again: float = 0.0

    @property
    def finished_vae(self) -> VaeSize:
        """Sizes of the VAE after polishing, as in the file."""
        return dataclasses.replace(self.vae, blocks=max(self.vae.blocks, self.polish_blocks))


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="cpu",
            size=128,
            pictures=16384,
            shard=4096,
            vae=VaeSize(channels=(64, 64, 64, 128)),
            text=TextSize(width=128, layers=4),
            unet=UnetSize(channels=(64, 128, 192), attention=(False, True, True), blocks=1),
            vae_stage=Stage(steps=3400, batch=4, rate=7e-4, warmup=100, floor=0.02, ema=0.995, decay=0.0),
            polish_stage=Stage(steps=4000, batch=4, rate=6e-4, warmup=50, floor=0.02, ema=0.995, decay=0.0),
            text_stage=Stage(steps=1500, batch=64, rate=1e-3, ema=0.99),
            unet_stage=Stage(steps=10000, batch=32, rate=8e-4, warmup=200, floor=0.02, ema=0.998),
            least=0.05,
            wordless=0.7,
        ),
        Recipe(
            name="gpu",
            size=256,
            pictures=65536,
            shard=4096,
            vae=VaeSize(channels=(64, 64, 64, 128)),
            text=TextSize(width=128, layers=4),
            unet=UnetSize(channels=(64, 128, 128), attention=(False, True, True), blocks=3),
            vae_stage=Stage(steps=5000, batch=64, rate=1e-3, ema=0.998, decay=0.0, bf16=True),
            polish_stage=Stage(steps=5000, batch=64, rate=5e-4, warmup=50, ema=0.998, decay=0.0, bf16=True),
            text_stage=Stage(steps=3000, batch=256, rate=1e-3, ema=0.995),
            unet_stage=Stage(steps=15000, batch=256, rate=1e-3, warmup=500, floor=0.02, ema=0.9995, bf16=True),
            least=0.05,
            wordless=0.7,
            crop=128,
        ),
        Recipe(
            name="test",
            size=32,
            pictures=16,
            shard=8,
            vae=VaeSize(channels=(32, 32, 32, 32)),
            text=TextSize(width=64, layers=1),
            unet=UnetSize(channels=(32, 64), attention=(False, True), blocks=1),
            vae_stage=Stage(steps=2, batch=2, rate=1e-3),
            polish_stage=Stage(steps=2, batch=2, rate=1e-3),
            text_stage=Stage(steps=2, batch=2, rate=1e-3),
            unet_stage=Stage(steps=2, batch=2, rate=1e-3),
            polish_blocks=2,
            least=0.05,
            wordless=0.5,
            crop=32,
        ),
    )
}


def find(name: str) -> Recipe:
    """A recipe by name. Raises NotFound."""
    if name not in RECIPES:
        raise NotFound("recipe", name, RECIPES, field="recipe")
    return RECIPES[name]


def changed(recipe: Recipe, changes: dict[str, str]) -> Recipe:
    """The recipe with dotted fields set: {"unet_stage.steps": "100", "gamma": "null"}. Raises BadRequest."""
    table = dataclasses.asdict(recipe)
    for path, text in changes.items():
        *groups, name = path.split(".")
        place: Any = table
        for group in groups:
            place = place.get(group) if isinstance(place, dict) else None
        if not isinstance(place, dict) or name not in place:
            raise BadRequest(f"{path}: a recipe has no such field.", field=path)
        try:
            place[name] = json.loads(text)
        except ValueError:
            place[name] = text
    return of_table(table)


def of_table(table: dict[str, Any]) -> Recipe:
    """A recipe from `dataclasses.asdict`, also after a trip through JSON. Raises BadRequest."""
    kinds = {"vae": VaeSize, "text": TextSize, "unet": UnetSize}
    kinds |= {name: Stage for name in table if name.endswith("_stage")}
    try:
        made = {name: kinds[name](**_tuples(value)) if name in kinds else value for name, value in table.items()}
        return Recipe(**made)
    except TypeError as error:
        raise BadRequest(f"not a recipe: {error}.", field="recipe") from error


def kept(recipe: Recipe | None, folder: Path) -> Recipe:
    """The recipe of a run: written down the first time, and read from then on. Raises BadRequest if they disagree."""
    path = folder / "recipe.json"
    if not path.exists():
        if recipe is None:
            raise BadRequest(f"{folder}: no run was started there; name a recipe with --recipe.", field="recipe")
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(recipe), indent=1) + "\n", encoding="utf-8")
        return recipe
    written = of_table(json.loads(path.read_text(encoding="utf-8")))
    if recipe is not None and recipe != written:
        raise BadRequest(f"{folder}: this run was started with another recipe; choose another folder.", field="recipe")
    return written


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
