"""From nothing to a checkpoint that the product loads: same answers, honest notes, stages that go on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from modules.core.errors import BadRequest
from modules.loading import families, header
from modules.training import checkpoints, data, models, recipes, stages
from modules.training.__main__ import main
from modules.training.data import LATENTS, PICTURES, Shards
from modules.training.loop import Pace
from modules.training.recipes import Recipe


def test_every_stage_leaves_its_files(run: stages.Run) -> None:
    assert len(Shards(run.data, PICTURES)) == len(Shards(run.data, LATENTS)) == run.recipe.pictures
    for name in ("vae", "text", "unet"):
        assert (run.folder / name / "log.jsonl").exists()
    assert list((run.folder / "unet").glob("sheet-*.png"))


def test_the_product_loads_what_was_exported(run: stages.Run, checkpoint: Path) -> None:
    """Equal answers of UNet, VAE and tower, up to the half precision of the file."""
    own, loaded = stages.trained(run), checkpoints.parts_of(checkpoint, cpu=True)
    vaes: list[Any] = [own.vae, loaded.vae]
    assert loaded.size == run.recipe.size
    generator = torch.Generator().manual_seed(0)
    ids = models.token_ids(["a red boat on a blue sea at night", ""])
    x = torch.randn(2, 4, 4, 4, generator=generator)
    with torch.no_grad():
        contexts = [models.hidden(each.tower, ids) for each in (own, loaded)]
        torch.testing.assert_close(contexts[0], contexts[1], rtol=0.02, atol=0.02)
        answers = [
            each.unet(x, torch.tensor([7, 900]), encoder_hidden_states=contexts[0], return_dict=False)[0]
            for each in (own, loaded)
        ]
        torch.testing.assert_close(answers[0], answers[1], rtol=0.02, atol=0.02)
        pictures = [each.decode(x * 5, return_dict=False)[0] for each in vaes]
        torch.testing.assert_close(pictures[0], pictures[1], rtol=0.02, atol=0.02)


def test_the_file_says_what_it_is(run: stages.Run, checkpoint: Path) -> None:
    notes = header.read(checkpoint).metadata
    assert notes["modelspec.resolution"] == "32x32"
    assert notes["modelspec.prediction_type"] == "epsilon"
    assert families.guidance(header.read(checkpoint)) == models.GUIDANCE
    own = families.detect(header.read(checkpoint)).latent
    assert own.preview != families.SD_LATENT.preview
    assert json.loads(notes["easel.preview"]) == [list(row) for row in (*own.preview, own.preview_base)]
    assert "model_channels: 32" in checkpoint.with_suffix(".yaml").read_text()


def test_latents_have_the_scale_of_the_format(run: stages.Run) -> None:
    latents = Shards(run.data, LATENTS).take(torch.arange(run.recipe.pictures)).float() * models.SCALE
    flat = latents.transpose(0, 1).flatten(1)
    torch.testing.assert_close(flat.mean(1), torch.zeros(4), atol=0.3, rtol=0)
    torch.testing.assert_close(flat.std(1), torch.ones(4), atol=0.3, rtol=0)


def test_a_finished_run_does_nothing_more(run: stages.Run) -> None:
    said: list[str] = []
    assert stages.everything(dataclasses.replace(run, say=said.append))
    assert len(said) == 1, said  # the export


def test_a_stage_without_the_one_before_is_refused_with_the_way_out(tmp_path: Path) -> None:
    empty = run_of(recipes.find("test"), tmp_path)
    with pytest.raises(BadRequest, match="run the stage before"):
        stages.vae(empty)
    with pytest.raises(BadRequest, match="stage vae has not begun"):
        stages.encode(empty)


@pytest.mark.parametrize("changes", [{"prediction": "v"}, {"prediction": "flow"}, {"train_text": "true"}])
def test_other_predictions_and_a_trained_tower_go_through(
    run: stages.Run, tmp_path: Path, changes: dict[str, str]
) -> None:
    for name in ("vae", "text", "data"):
        (tmp_path / name).symlink_to(run.folder / name)
    other = run_of(recipes.changed(run.recipe, changes), tmp_path)
    assert stages.unet(other)
    if other.recipe.prediction != "flow":
        assert stages.export(other)


def test_the_command_stops_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--run", str(tmp_path), "--recipe", "test", "--cpu"]
    assert main(["paint", *words]) == 0
    assert main(["vae", *words, "--minutes", "0"]) == 3
    assert main(["vae", "--run", str(tmp_path), "--cpu"]) == 0
    assert main(["vae", "--run", str(tmp_path), "--recipe", "cpu"]) == 1
    assert "another recipe" in capsys.readouterr().err


def run_of(recipe: Recipe, folder: Path) -> stages.Run:
    return stages.Run(
        folder=folder,
        recipe=recipe,
        source=data.Painted(recipe.pictures),
        device=torch.device("cpu"),
        pace=Pace(sheet_every=0),
        say=lambda _: None,
    )


@pytest.mark.slow
def test_a_folder_of_the_users_pictures_goes_through_all_stages(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for index in range(3):
        Image.new("RGB", (48, 40), (60 * index, 90, 200)).save(tmp_path / "mine" / f"{index}.png")
        (tmp_path / "mine" / f"{index}.txt").write_text("a wall\na plain wall")
    words = ["--run", str(tmp_path / "run"), "--recipe", "test", "--pictures", str(tmp_path / "mine"), "--cpu"]
    assert main(["all", *words]) == 0
    assert len(Shards(tmp_path / "run" / "data", LATENTS)) == 3
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_polishing_changes_the_decoder_and_no_latent(run: stages.Run) -> None:
    plain, polished = (stages.folded_vae(run, polished=each) for each in (False, True))
    same = {name: torch.equal(each, dict(polished.named_parameters())[name]) for name, each in plain.named_parameters()}
    assert all(equal for name, equal in same.items() if name.startswith(("encoder.", "quant_conv.")))
    assert len(polished.decoder.up_blocks[0].resnets) == 1 + run.recipe.polish_blocks == 3
    assert not any(equal for name, equal in same.items() if name.startswith("decoder.conv_out."))


def test_a_run_that_begins_with_a_checkpoint_keeps_all_but_the_unet(
    checkpoint: Path, run: stages.Run, tmp_path: Path
) -> None:
    after = run_of(run.recipe, tmp_path)
    stages.begin_with(after, checkpoint)
    assert stages.everything(after)
    before, trained = checkpoints.parts_of(checkpoint, cpu=True), stages.trained(after)
    assert _distance(before.tower, trained.tower) == 0
    assert _distance(_encoder(before.vae), _encoder(trained.vae)) == 0
    assert 0 < _distance(before.unet, trained.unet) < 0.1
    with pytest.raises(BadRequest, match="has begun already"):
        stages.begin_with(after, checkpoint)


def test_a_checkpoint_of_other_sizes_cannot_be_begun_with(checkpoint: Path, run: stages.Run, tmp_path: Path) -> None:
    wider = dataclasses.replace(run.recipe, vae=recipes.VaeSize(channels=(32, 32, 32, 64)))
    with pytest.raises(BadRequest, match="its vae has other sizes"):
        stages.begin_with(run_of(wider, tmp_path), checkpoint)


def _encoder(vae: Any) -> torch.nn.Module:
    return torch.nn.ModuleList([vae.encoder, vae.quant_conv])


def _distance(one: torch.nn.Module, other: torch.nn.Module) -> float:
    """The largest difference between two networks' weights."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a.detach() - b.detach()).abs().max()) for a, b in pairs)
