"""Companions begin by changing nothing, move the model towards their material, and the product reads their files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from modules.loading.tiny import decoder as product_decoder
from modules.networks import embeddings
from modules.networks import hypernetwork as product_hypernetwork
from modules.networks import lora as product_lora
from modules.networks.files import Files
from modules.networks.names import Layers
from modules.training import checkpoints, models, stages
from modules.training.__main__ import main
from modules.training.companions import hypernetwork, inversion, lora, previews
from modules.training.companions import material as materials
from modules.training.data import LATENTS, PICTURES, Painted, Shards
from modules.training.diffusion import DiffusionTask, Material
from modules.training.loop import Pace
from modules.training.recipes import Stage
from modules.training.sampling import Parts

STAGE = Stage(steps=25, batch=4, rate=1e-2, warmup=1, floor=1.0, ema=0.5, decay=0.0)
QUIET = Pace(log_every=1000, sheet_every=0)


@pytest.fixture
def parts(checkpoint: Path) -> Parts:
    return checkpoints.parts_of(checkpoint, cpu=True)


def given(parts: Parts, style: str = "duotone") -> Material:
    source = materials.Restyled(Painted(8), style)
    return materials.material(parts, source, batch=4, seed=1, dropout=0.0)


@torch.no_grad()
def average_loss(parts: Parts, material: Material) -> float:
    task = DiffusionTask(parts.unet, parts.tower, material, trained=parts.unet)
    drawn = (task.draw(step, torch.Generator().manual_seed(step)) for step in range(8))
    return sum(float(task.losses(batch)["mse"]) for batch in drawn) / 8


@torch.no_grad()
def answer(parts: Parts, text: str = "a red boat") -> Tensor:
    x = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    context = models.hidden(parts.tower, models.token_ids([text]))
    found: Tensor = parts.unet(x, torch.tensor([500]), encoder_hidden_states=context, return_dict=False)[0]
    return found


def test_styles_change_pictures_and_only_pictures() -> None:
    plain = Painted(3)
    for style in materials.STYLES:
        styled = materials.Restyled(plain, style)
        assert abs(styled.picture(1, 32).astype(float) - plain.picture(1, 32)).mean() > 10


def test_lora(parts: Parts, tmp_path: Path) -> None:
    material, untouched = given(parts), answer(parts)
    before = average_loss(parts, material)
    fresh = lora.Adapters(parts, rank=2, alpha=2.0)
    with fresh.at_work():
        assert torch.equal(answer(parts), untouched)
    made = lora.train(parts, material, STAGE, folder=tmp_path / "state", rank=2, pace=QUIET)
    assert torch.equal(answer(parts), untouched), "nothing of it stays in the model"
    with made.at_work():
        changed = answer(parts)
        assert average_loss(parts, material) < before * 0.99
    lora.write(tmp_path / "mine.safetensors", made, title="mine")
    (file,) = Files([tmp_path], (".safetensors",)).all()
    read = product_lora.read(file, Layers({"unet": parts.unet, "text": parts.tower}))
    assert read.unknown == 0
    assert len(read.changes) == len(made.made)
    with torch.no_grad():
        for change in read.changes:
            assert change.weight is not None
            change.layer.weight.add_(change.weight.delta(change.layer.weight))
    torch.testing.assert_close(answer(parts), changed, rtol=0.02, atol=0.02)


def test_textual_inversion(parts: Parts, tmp_path: Path) -> None:
    source = inversion.Marked(materials.Subject("crown", "turquoise", 6), 2)
    material = materials.material(parts, source, batch=4, seed=1, dropout=0.0)
    word = inversion.begin(parts, "crown thing", 2)
    begun = word.vectors.detach().clone()
    with word.at_work(parts.tower):
        torch.testing.assert_close(answer(parts, "a * *"), answer(parts, "a crown thing"))
        before = average_loss(parts, material)
    inversion.train(parts, material, STAGE, word=word, folder=tmp_path / "state", pace=QUIET)
    with word.at_work(parts.tower):
        assert average_loss(parts, material) < before
    assert not torch.equal(word.vectors, begun)
    inversion.write(tmp_path / "mine.safetensors", word)
    (file,) = Files([tmp_path], (".safetensors",)).all()
    read = embeddings.read(file)
    assert read is not None
    assert read.count == 2
    torch.testing.assert_close(next(iter(read.vectors.values())), word.vectors.detach())


def test_hypernetwork(parts: Parts, tmp_path: Path) -> None:
    material, untouched = given(parts), answer(parts)
    before = average_loss(parts, material)
    fresh = product_hypernetwork.Hypernetwork("fresh", hypernetwork.begin(parts, 0))
    undo = product_hypernetwork.install(parts.unet, [(fresh, 1.0)], torch.device("cpu"))
    torch.testing.assert_close(answer(parts), untouched)
    undo()
    stage = dataclasses.replace(STAGE, steps=60)  # through the words alone an untrained UNet changes slowly
    hypernetwork.train(parts, material, stage, folder=tmp_path / "state", name="mine", pace=QUIET)
    made = hypernetwork.train(parts, material, stage, folder=tmp_path / "state", name="mine", pace=QUIET)
    assert torch.equal(answer(parts), untouched), "nothing of it stays in the model"
    hypernetwork.write(tmp_path / "mine.pt", made, steps=stage.steps)
    (file,) = [each for each in Files([tmp_path], (".pt",)).all() if each.name == "mine"]
    read = product_hypernetwork.read(file)
    undo = product_hypernetwork.install(parts.unet, [(read, 1.0)], torch.device("cpu"))
    assert average_loss(parts, material) < before * 0.99
    undo()


@pytest.mark.parametrize("width", [16, 64])
def test_preview_decoder(run: stages.Run, tmp_path: Path, width: int) -> None:
    pictures, latents = Shards(run.data, PICTURES), Shards(run.data, LATENTS)
    torch.manual_seed(0)
    task = previews.PreviewTask(previews.decoder(width), pictures, latents, batch=4, seed=1)
    batch = task.draw(0, torch.Generator().manual_seed(0))
    before = float(task.losses(batch)["loss"].detach())
    stage = Stage(steps=12, batch=4, rate=2e-3, warmup=1, floor=1.0, ema=0.5)
    made = previews.train(task, stage, folder=tmp_path / "state", seed=1, device=torch.device("cpu"), pace=QUIET)
    with torch.no_grad():
        assert float(task.losses(batch)["loss"]) < before * 0.9
        path = tmp_path / "mine_decoder.safetensors"
        previews.write(path, made)
        read = product_decoder(path, 0, models.LATENT)
        own = (made(batch[0]) + 1) / 2
        torch.testing.assert_close(read(batch[0]), own, rtol=0.02, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["lora", "embedding", "hypernetwork"])
def test_commands_write_their_files(command: str, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / f"mine.{'pt' if command == 'hypernetwork' else 'safetensors'}"
    words = [command, "--checkpoint", str(checkpoint), "--run", str(tmp_path / "state"), "--out", str(out)]
    assert main([*words, "--steps", "2", "--count", "4", "--batch", "2", "--cpu"]) == 0
    assert out.stat().st_size > 100
    assert main([*words[:1], *words[3:]]) == 1
