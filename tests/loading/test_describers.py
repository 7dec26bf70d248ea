"""Words for pictures by models on the disk: tiny random ones here, in the layouts that real ones have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from modules.core import device
from modules.core.errors import BadRequest, DamagedFile, NotFound
from modules.loading import deepdanbooru
from modules.loading.describers import Describers, written
from modules.settings.builtin import registry
from modules.settings.options import Snapshot

RED = Image.new("RGB", (40, 30), "red")


def options(**changes: Any) -> Mapping[str, Any]:
    return Snapshot(registry()).overlay(changes)


def describers(folder: Path) -> Describers:
    return Describers(
        blip=folder / "BLIP",
        clip=folder / "CLIP",
        tagger=(folder / "torch_deepdanbooru",),
        lists=folder / "interrogate",
        placement=lambda: device.choose(use_cpu=["all"]),
    )


def tokenizer(folder: Path) -> Any:
    from transformers import BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "blue", "thing", "of"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    return BertTokenizerFast(vocab_file=str(folder / "vocab.txt"))


def blip(folder: Path) -> None:
    """A captioning model of random numbers in transformers' layout."""
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    folder.mkdir(parents=True)
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "vocab_size": 10, "max_position_embeddings": 80, "encoder_hidden_size": 32, "bos_token_id": 2}
    ends = {"eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    config = BlipConfig(text_config={**text, **ends}, vision_config={**small, "image_size": 32, "patch_size": 16})
    torch.manual_seed(1)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    pictures = BlipImageProcessor(size={"height": 32, "width": 32})
    BlipProcessor(pictures, tokenizer(folder)).save_pretrained(folder)


class TestWhatIsMissing:
    def test_is_named_with_its_place(self, tmp_path: Path) -> None:
        with pytest.raises(BadRequest, match="BLIP") as caught:
            describers(tmp_path).check("clip")
        assert caught.value.field == "model"
        with pytest.raises(BadRequest, match="torch_deepdanbooru"):
            describers(tmp_path).describe(RED, "deepdanbooru", options())
        with pytest.raises(NotFound):
            describers(tmp_path).check("blop")

    def test_what_is_damaged_is_named(self, tmp_path: Path) -> None:
        folder = tmp_path / "BLIP" / "mine"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"model_type": "blip"}', encoding="utf-8")
        with pytest.raises(DamagedFile, match="mine"):
            describers(tmp_path).describe(RED, "clip", options())


def test_blip_says_a_sentence(tmp_path: Path) -> None:
    blip(tmp_path / "BLIP" / "tiny")
    short = options(interrogate_clip_min_length=1, interrogate_clip_max_length=8)
    said = describers(tmp_path).describe(RED, "clip", short)
    assert said == describers(tmp_path).describe(RED, "clip", short), "the same picture, the same words"
    assert set(said.split()) <= {"a", "red", "blue", "thing", "of"} | set(said.split()) & {"[UNK]"}


class TestPhrases:
    def test_are_read_from_lists(self, tmp_path: Path) -> None:
        folder = tmp_path / "interrogate"
        folder.mkdir()
        (folder / "artists.txt").write_text("one\n\ntwo\nthree\n", encoding="utf-8")
        (folder / "flavors.top3.txt").write_text("a\nb\n", encoding="utf-8")
        found = {phrases.name: phrases for phrases in describers(tmp_path)._phrases(options())}
        assert (found["artists"].lines, found["artists"].top) == (("one", "two", "three"), 1)
        assert found["flavors.top3"].top == 3
        fewer = options(interrogate_clip_skip_categories=["artists"], interrogate_clip_dict_limit=1)
        (only,) = describers(tmp_path)._phrases(fewer)
        assert only.lines == ("a",)


class TestTags:
    SHARES = {"rating:safe": 0.9, "red_hair": 0.8, "smile_(happy)": 0.9, "blue": 0.4, "cat": 0.7}  # noqa: RUF012

    def test_as_a1111_writes_them(self) -> None:
        assert written(self.SHARES, options()) == ["cat", "red hair", r"smile \(happy\)"]

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"deepbooru_sort_alpha": False}, [r"smile \(happy\)", "red hair", "cat"]),
            ({"deepbooru_use_spaces": False}, ["cat", "red_hair", r"smile_\(happy\)"]),
            ({"deepbooru_escape": False}, ["cat", "red hair", "smile (happy)"]),
            ({"interrogate_return_ranks": True}, ["(cat:0.700)", "(red hair:0.800)", r"(smile \(happy\):0.900)"]),
            ({"interrogate_deepbooru_score_threshold": 0.75}, ["red hair", r"smile \(happy\)"]),
            ({"deepbooru_filter_tags": "red hair, cat"}, [r"smile \(happy\)"]),
        ],
    )
    def test_as_options_say(self, changes: dict[str, Any], expected: list[str]) -> None:
        assert written(self.SHARES, options(**changes)) == expected


def test_the_network_counts_its_convolutions_as_the_file_does() -> None:
    """Sizes at some numbers of the published file, and its last one, which alone has no bias."""
    with torch.device("meta"):
        network = deepdanbooru.DeepDanbooru(9176)
        counted = list(network.counted())
    assert len(counted) == 179
    facts = {
        number: (each.in_channels, each.out_channels, each.kernel_size[0], each.stride[0])
        for number, each in enumerate(counted)
    }
    known = {
        0: (3, 64, 7, 2),
        1: (64, 256, 1, 1),
        11: (256, 512, 1, 2),
        13: (128, 128, 3, 2),
        36: (512, 1024, 1, 2),
        38: (256, 256, 3, 2),
        98: (256, 256, 3, 2),
        99: (256, 1024, 1, 1),
        100: (1024, 1024, 1, 2),
        158: (1024, 2048, 1, 2),
        168: (2048, 4096, 1, 2),
        170: (1024, 1024, 3, 2),
        177: (1024, 4096, 1, 1),
        178: (4096, 9176, 1, 1),
    }
    assert {number: facts[number] for number in known} == known
    assert [number for number, each in enumerate(counted) if each.bias is None] == [178]


def test_a_small_one_answers_with_shares() -> None:
    torch.manual_seed(0)
    network = deepdanbooru.DeepDanbooru(5, stages=((8, 2, 1), (8, 2, 2))).eval()
    shares = network(torch.rand(2, 3, 64, 64))
    assert shares.shape == (2, 5)
    assert ((shares > 0) & (shares < 1)).all()


def test_another_file_is_no_tagger(tmp_path: Path) -> None:
    folder = tmp_path / "torch_deepdanbooru"
    folder.mkdir()
    torch.save({"tags": ["a"], "n_Conv_0.weight": torch.zeros(1)}, folder / "x.pt")
    with pytest.raises(DamagedFile, match=r"x\.pt"):
        describers(tmp_path).describe(RED, "deepdanbooru", options())
