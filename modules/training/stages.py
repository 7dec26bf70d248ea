"""A run from nothing to a checkpoint: paint, vae, encode, polish, text, judge, unet, export. Each stage goes on where
it stopped; the later ones need neither polish nor its end.

run/recipe.json  source.json  data/  vae/  polish/  text/  judge/  unet/  model.safetensors  model.yaml
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from modules.core.errors import BadRequest
from modules.loading import attention
from modules.training import autoencoder, checkpoints, data, exporting, models, reading, sampling, sight
from modules.training.data import LATENTS, PICTURES, Shards, Source
from modules.training.diffusion import Denoising, DiffusionTask, Judging, Material
from modules.training.judge import Judge, JudgeTask, truths
from modules.training.loop import Pace, Trainer, mean_weights, steady
from modules.training.recipes import Recipe
from modules.training.sheets import grid

log = logging.getLogger(__name__)

PROMPTS = (
    "a red boat on a blue sea at night",
    "a large yellow star in the middle",
    "two green trees on a meadow",
    "a black cat on a plain background",
    "a blue house in the snow",
    "an orange fish on the left",
    "pixel art of a pink heart",
    "a watercolor of a purple mountain at sunset",
    "a line drawing of a brown cup",
    "a white rocket at night",
    "a red apple to the left of a green umbrella",
    "three turquoise balloons in the desert",
)
"""What the sheets of a training show."""


GIVEN = "given.pt"
"""In a stage's folder: weights that it was given (`begin_with`)."""
_PREFIX = {"vae": "", "text": "tower.", "unet": "unet."}
"""Stage -> what its saved weights' names begin with."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Where, what with, how long. stop: asked between steps."""

    folder: Path
    recipe: Recipe
    source: Source
    device: torch.device
    pace: Pace = dataclasses.field(default_factory=Pace)
    say: Callable[[str], object] = print

    @property
    def data(self) -> Path:
        return self.folder / "data"


def begin_with(run: Run, path: Path) -> None:
    """Let a run that has not begun start from the weights of a checkpoint of the recipe's sizes: its VAE and text tower
    are kept as they are, its UNet is trained on. Raises BadRequest when there are weights already, or others' sizes.
    """
    begun = next((name for name in ("vae", "text", "unet") if (run.folder / name).exists()), None)
    if begun:
        raise BadRequest(f"{run.folder}: {begun} has begun already; take another folder.", field="from")
    parts = checkpoints.parts_of(path)
    recipe = run.recipe
    fresh = {
        "vae": models.vae(recipe.finished_vae),
        "text": models.text(recipe.text),
        "unet": models.unet(recipe.unet, recipe.text.width),
    }
    own: dict[str, nn.Module] = {"vae": parts.vae, "text": parts.tower, "unet": parts.unet}
    for name, module in own.items():
        _same_sizes(name, module, fresh[name], path)
    for name, module in own.items():
        weights = {_PREFIX[name] + key: each.detach().cpu().clone() for key, each in module.named_parameters()}
        (run.folder / name).mkdir(parents=True)
        torch.save(weights, run.folder / name / GIVEN)
    torch.save(autoencoder.UNFOLDED, run.folder / "vae" / "statistics.pt")


def _same_sizes(name: str, given: nn.Module, wanted: nn.Module, path: Path) -> None:
    shapes, others = ({key: each.shape for key, each in module.named_parameters()} for module in (given, wanted))
    if shapes != others:
        key = next(key for key in [*others, *shapes] if shapes.get(key) != others.get(key))
        raise BadRequest(f"{path.name}: its {name} has other sizes than the recipe ({key}).", field="from")


def paint(run: Run) -> bool:
    """Pictures as numbers."""
    workers = 1 if run.recipe.pictures <= run.recipe.shard else max(1, (os.cpu_count() or 2))
    recipe, pace = run.recipe, run.pace
    return data.paint(
        run.source, run.data, size=recipe.size, shard=recipe.shard, workers=workers, stop=pace.stop, say=run.say
    )


def vae(run: Run) -> bool:
    """Train the autoencoder."""
    models.seeded(run.recipe.seed)
    network = models.vae(run.recipe.vae)
    autoencoder.straight(network)
    autoencoder.quiet(network)
    network.to(memory_format=torch.channels_last)
    return _train(run, "vae", autoencoder.VaeTask(network, _shards(run, PICTURES), run.recipe))


def encode(run: Run) -> bool:
    """Latents of all pictures; the first ones set the scale of the latent space."""
    network = _plain_vae(run).to(run.device, memory_format=torch.channels_last)
    paths = sorted(run.data.glob(f"{PICTURES}-*.npy"))
    note = run.folder / "vae" / "statistics.pt"
    if not note.exists():
        some = torch.from_numpy(np.load(paths[0], mmap_mode="r")[:2048].copy())
        torch.save(autoencoder.statistics(_latents(run, network, some)), note)
    network = folded_vae(run, polished=False).to(run.device, memory_format=torch.channels_last)
    for path in paths:
        target = path.with_name(path.name.replace(PICTURES, LATENTS))
        if target.exists():
            continue
        if run.pace.stop():
            return False
        pictures = torch.from_numpy(np.load(path))
        data.write(target, _latents(run, network, pictures).half().numpy())
        run.say(f"encoded {target.name}")
    return True


def polish(run: Run) -> bool:
    """Train the decoder alone on the cached latents."""
    network = _deep_vae(run).to(memory_format=torch.channels_last)
    eyes = sight.load(Path(run.recipe.eyes)).to(run.device) if run.recipe.eyes else None
    task = autoencoder.PolishTask(network, _shards(run, PICTURES), _shards(run, LATENTS), run.recipe, eyes)
    return _train(run, "polish", task)


def text(run: Run) -> bool:
    """Teach the text tower to read (`reading`). On the user's own pictures it still learns from painted scenes."""
    models.seeded(run.recipe.seed + 1)
    return _train(run, "text", reading.ReadingTask(models.text(run.recipe.text), run.recipe))


def judge(run: Run) -> bool:
    """Teach a small network to name what latents show, where the recipe wants the UNet judged by it."""
    if not _judges(run.recipe):
        return True
    models.seeded(run.recipe.seed + 3)
    latents, batch = _shards(run, LATENTS), run.recipe.judge_stage.batch
    return _train(run, "judge", JudgeTask(latents, _shown(run), batch=batch, seed=run.recipe.seed))


def _judges(recipe: Recipe) -> bool:
    return recipe.alike > 0 or recipe.named > 0


def _judging(run: Run) -> Judging | None:
    if not _judges(run.recipe):
        return None
    network = Judge()
    _fill(network, _mean(run, "judge"))
    network.to(run.device).eval().requires_grad_(False)
    return Judging(
        judge=network, shares=_shown(run), alike=run.recipe.alike, named=run.recipe.named, again=run.recipe.again
    )


def _shown(run: Run) -> torch.Tensor:
    """What each picture of the run shows (`truths`)."""
    if not isinstance(run.source, data.Painted):
        raise BadRequest("alike, named: only painted scenes tell what they show; set both to 0.", field="alike")
    return truths([run.source.scene(index) for index in range(len(run.source))])


def unet(run: Run) -> bool:
    """Train diffusion."""
    tower, autoencoder_ = trained_tower(run).to(run.device), folded_vae(run).to(run.device)
    models.seeded(run.recipe.seed + 2)
    network = models.unet(run.recipe.unet, run.recipe.text.width)
    given = _given(run, "unet")
    if given is not None:
        _fill(network, {name.removeprefix("unet."): each for name, each in given.items()})
    attention.install(network)
    network.to(memory_format=torch.channels_last)

    def look(learnt: nn.Module) -> Image.Image:
        parts = _parts(run, learnt.get_submodule("unet"), autoencoder_, tower)
        return grid(sampling.sample(parts, sampling.Asked(texts=PROMPTS)), columns=4)

    tower.requires_grad_(run.recipe.train_text)
    task = DiffusionTask(
        network,
        tower,
        Material.of(run.recipe, _shards(run, LATENTS), run.source),
        trained=Denoising(network, tower if run.recipe.train_text else None),
        through_text=run.recipe.train_text,
        look=look,
        judging=_judging(run),
    )
    return _train(run, "unet", task)


def export(run: Run) -> bool:
    """The checkpoint as it stands."""
    parts = trained(run)
    begun = run.folder / "unet" / "state.pt"
    steps = torch.load(begun, map_location="cpu", weights_only=True)["step"] if begun.exists() else 0
    tensors = exporting.checkpoint(
        parts.unet, parts.vae, parts.tower, schedule=run.recipe.schedule, dtype=torch.float16
    )
    path = run.folder / "model.safetensors"
    exporting.write(path, tensors, exporting.notes(run.recipe, steps, _colours(run)))
    path.with_suffix(".yaml").write_text(exporting.sizes(run.recipe), encoding="utf-8")
    run.say(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return True


STAGES: dict[str, Callable[[Run], bool]] = {
    "paint": paint,
    "vae": vae,
    "encode": encode,
    "polish": polish,
    "text": text,
    "judge": judge,
    "unet": unet,
    "export": export,
}
"""In order; each returns whether it is complete."""


def everything(run: Run) -> bool:
    """All stages, as far as time allows; the export is made from whatever there is of the UNet."""
    for name, stage in STAGES.items():
        if not stage(run):
            if name == "unet":
                export(run)
            return False
    return True


def trained(run: Run) -> sampling.Parts:
    """The model as it stands, with averaged weights. Raises BadRequest when a stage has not begun."""
    network = models.unet(run.recipe.unet, run.recipe.text.width)
    weights = _mean(run, "unet")
    own = {name.removeprefix("unet."): each for name, each in weights.items() if name.startswith("unet.")}
    _fill(network, own)
    attention.install(network)
    tower = trained_tower(run)
    _fill(tower, {name.removeprefix("tower."): each for name, each in weights.items() if name.startswith("tower.")})
    parts = [each.to(run.device).eval().requires_grad_(False) for each in (network, folded_vae(run), tower)]
    return _parts(run, *parts)


def trained_tower(run: Run) -> Any:
    """The text tower after its own stage."""
    tower: Any = models.text(run.recipe.text)
    weights = _mean(run, "text")
    _fill(tower, {name.removeprefix("tower."): each for name, each in weights.items() if name.startswith("tower.")})
    return tower.eval()


def folded_vae(run: Run, *, polished: bool = True) -> Any:
    """The autoencoder with SD1's scale of latents; polished: with the decoder of that stage, if there is one."""
    better = mean_weights(run.folder / "polish") if polished else None
    if better is None:
        return _unpolished_vae(run)
    network = _deep_vae(run)
    _fill(network, better)
    return network


def _deep_vae(run: Run) -> Any:
    """The autoencoder as it goes into polishing."""
    models.seeded(run.recipe.seed + 4)
    return autoencoder.deepened(_unpolished_vae(run), run.recipe.finished_vae)


def _unpolished_vae(run: Run) -> Any:
    network = _plain_vae(run)
    mean, deviation = torch.load(run.folder / "vae" / "statistics.pt", weights_only=True)
    autoencoder.fold(network, mean, deviation)
    return network


def _plain_vae(run: Run) -> Any:
    recipe = run.recipe
    network = models.vae(recipe.vae if _given(run, "vae") is None else recipe.finished_vae)
    _fill(network, _mean(run, "vae"))
    return network.eval().requires_grad_(False)


def _parts(run: Run, unet: nn.Module, vae: nn.Module, tower: nn.Module) -> sampling.Parts:
    recipe = run.recipe
    return sampling.Parts(
        unet=unet, vae=vae, tower=tower, size=recipe.size, schedule=recipe.schedule, prediction=recipe.prediction
    )


def _train(run: Run, name: str, task: Any) -> bool:
    stage = getattr(run.recipe, f"{name}_stage")
    if _given(run, name) is not None and name != "unet":
        return True
    trainer = Trainer(task, stage, seed=run.recipe.seed, folder=run.folder / name, device=run.device)
    if trainer.done:
        return True
    run.say(f"{name}: {models.count(task.network) / 1e6:.1f} million numbers, from step {trainer.step}")
    return trainer.run(run.pace, run.say)


def _latents(run: Run, network: Any, pictures: torch.Tensor) -> torch.Tensor:
    """What the VAE makes of uint8 (n, H, W, 3), in the precision that it was trained in."""
    steady(network)
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.recipe.vae_stage.bf16):
        return autoencoder.encode(network, pictures, run.device)


def _colours(run: Run) -> torch.Tensor:
    """The linear map from latents to colours, over some pictures."""
    some = torch.arange(min(1024, len(run.source)))
    latents = _shards(run, LATENTS).take(some).float() * models.SCALE
    return autoencoder.colours(latents, _shards(run, PICTURES).take(some))


def _shards(run: Run, kind: str) -> Shards:
    shards = Shards(run.data, kind)
    if len(shards) < len(run.source):
        raise BadRequest(f"{run.data}: {len(shards)} of {len(run.source)} {kind} are there; run the stage before.")
    return shards


def _mean(run: Run, name: str) -> dict[str, torch.Tensor]:
    weights = mean_weights(run.folder / name)
    if weights is None:
        weights = _given(run, name)
    if weights is None:
        raise BadRequest(f"{run.folder}: the stage {name} has not begun.")
    return weights


def _given(run: Run, name: str) -> dict[str, torch.Tensor] | None:
    path = run.folder / name / GIVEN
    if not path.exists():
        return None
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return weights


def _fill(network: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Load averaged parameters; what is no parameter (position ids) is left as it was made."""
    missing, unexpected = network.load_state_dict(weights, strict=False)
    lacking = {name for name, _ in network.named_parameters()} & set(missing)
    if weights and (lacking or unexpected):
        raise BadRequest(f"the saved weights do not fit the recipe: {sorted([*lacking, *unexpected])[:2]}.")
