"""override_settings hold for their own request, also when twenty arrive at once; the settings stay what they were."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.server.running import Answer, Server, pixels

OVERRIDES: tuple[Mapping[str, Any], ...] = (
    {},
    {"randn_source": "CPU"},
    {"randn_source": "NV"},
    {"randn_source": "GPU"},
    {"CLIP_stop_at_last_layers": 2},
    {"CLIP_stop_at_last_layers": 3},
    {"eta_noise_seed_delta": 31337},
    {"eta_noise_seed_delta": 7, "randn_source": "CPU"},
    {"samples_format": "jpg"},
    {"samples_format": "jpg", "jpeg_quality": 30},
    {"samples_format": "webp"},
    {"emphasis": "Ignore"},
    {"emphasis": "None"},
    {"emphasis": "No norm"},
    {"sgm_noise_multiplier": True},
    {"sigma_min": 0.2},
    {"always_discard_next_to_last_sigma": True},
    {"add_version_to_infotext": False},
    {"add_model_name_to_info": False, "add_model_hash_to_info": False},
    {"sd_model_checkpoint": "tiny-sd1", "s_min_uncond": 1.5},
)
FORMATS = {"jpg": "JPEG", "webp": "WEBP"}


def request(index: int) -> dict[str, Any]:
    sampling = {"sampler_name": "Euler a", "scheduler": "Karras", "prompt": "a (red:1.4) cat in a garden"}
    return {**sampling, "seed": 100 + index, "override_settings": dict(OVERRIDES[index])}


@pytest.fixture(scope="module")
def alone(server: Server) -> list[Answer]:
    """Each request answered by itself."""
    return [server.txt2img(**request(index)) for index in range(len(OVERRIDES))]


def test_twenty_requests_at_once_are_answered_as_each_alone(server: Server, alone: list[Answer]) -> None:
    assert len(OVERRIDES) == 20
    settings = server.get("options")
    with ThreadPoolExecutor(len(OVERRIDES)) as pool:
        together = list(pool.map(lambda index: server.txt2img(**request(index)), reversed(range(len(OVERRIDES)))))
    for one, other in zip(alone, reversed(together), strict=True):
        assert other.same_as(one), one.infotexts
    assert server.get("options") == settings


@pytest.mark.parametrize(
    ("overrides", "mark"),
    [
        ({"randn_source": "CPU"}, "RNG: CPU"),
        ({"CLIP_stop_at_last_layers": 3}, "Clip skip: 3"),
        ({"eta_noise_seed_delta": 31337}, "ENSD: 31337"),
        ({"emphasis": "No norm"}, "Emphasis: No norm"),
        ({"sgm_noise_multiplier": True}, "SGM noise multiplier: True"),
        ({"sigma_min": 0.2}, "Schedule min sigma: 0.2"),
    ],
)
def test_each_setting_had_its_effect(
    server: Server, alone: list[Answer], overrides: Mapping[str, Any], mark: str
) -> None:
    index = OVERRIDES.index(overrides)
    assert mark in alone[index].infotexts[0]
    assert not any(mark in answer.infotexts[0] for answer in alone if not _asks(alone.index(answer), overrides))
    plain = server.txt2img(**{**request(index), "override_settings": {}})
    assert pixels(plain.images[0]) != pixels(alone[index].images[0])


def test_each_format_was_its_own(alone: list[Answer]) -> None:
    expected = [FORMATS.get(overrides.get("samples_format", "png"), "PNG") for overrides in OVERRIDES]
    assert [answer.format for answer in alone] == expected


def _asks(index: int, overrides: Mapping[str, Any]) -> bool:
    return overrides.items() <= OVERRIDES[index].items()
