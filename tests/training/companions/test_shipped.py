"""The companions that ship beside the default model: each does what its name says."""

from __future__ import annotations

import pytest
import torch

from modules.evaluation import reader as readers
from tests.studio import Bench
from tests.training.shipped import READER, ROOT, drawn

COMPANIONS = {
    "Lora": ROOT / "models" / "Lora" / "easel-duotone.safetensors",
    "hypernetworks": ROOT / "models" / "hypernetworks" / "easel-night.pt",
    "embeddings": ROOT / "embeddings" / "easel-crown.safetensors",
    "VAE-taesd": ROOT / "models" / "VAE-taesd" / "easel-scenes_decoder.safetensors",
}
"""The bench's folder -> the file that ships."""


@pytest.fixture(scope="module")
def reader() -> readers.Reader:
    return readers.load(READER)


@pytest.fixture(scope="module")
def equipped(bench: Bench) -> Bench:
    """The bench with the companions where it looks for them."""
    for folder, source in COMPANIONS.items():
        target = bench.folder / folder / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    return bench


def test_the_lora_paints_in_two_tones(equipped: Bench) -> None:
    plain, toned = (drawn(equipped, f"a red boat on a blue sea{each}") for each in ("", " <lora:easel-duotone:1>"))
    assert off_the_line(toned) < off_the_line(plain) / 2


def off_the_line(pictures: torch.Tensor) -> float:
    """Mean distance of pixels from the line between duotone's dark and light colour, of 255."""
    dark, light = torch.tensor((32.0, 24.0, 84.0)), torch.tensor((255.0, 226.0, 180.0))
    along = (light - dark) / (light - dark).norm()
    away = pictures.float().reshape(-1, 3) - dark
    return float((away - (away @ along).unsqueeze(1) * along).norm(dim=1).mean())


def test_the_hypernetwork_lets_night_fall(equipped: Bench) -> None:
    plain, dark = (drawn(equipped, f"a green tree on a meadow{each}") for each in ("", " <hypernet:easel-night:1>"))
    assert dark.float().mean() < 0.75 * plain.float().mean()


def test_the_embedding_is_a_word_for_a_turquoise_crown(equipped: Bench, reader: readers.Reader) -> None:
    def seen(word: str) -> list[tuple[str, str]]:
        made = torch.cat([drawn(equipped, f"a {word}", seed=seed) for seed in range(4)])
        return [(each.kind, each.colour) for each in reader.read(made)]

    meant = ("crown", "turquoise")
    assert seen("easel-crown").count(meant) > seen("thing").count(meant)


def test_the_preview_decoder_sees_nearly_what_the_vae_sees(equipped: Bench) -> None:
    prompt = "a yellow sun over the sea at sunset"
    full, quick = (drawn(equipped, prompt, sd_vae_decode_method=method) for method in ("Full", "TAESD"))
    away = (full.float() - quick.float()).square().mean().sqrt()
    assert 0 < away < 16, f"{float(away):.1f} of 255"
