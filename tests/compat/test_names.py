"""Every name that counted extensions of A1111's import is there, and is what they take it for.

The lists were counted over 55 public extensions (tier 1 and 2: those that keep to interfaces; tier 3: the others).
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from tests.compat.conftest import Program

HERE = Path(__file__).parent
COUNTED = (HERE / "names-tier-1-2.txt").read_text("utf-8").split()
OTHERS = (HERE / "names-tier-3.txt").read_text("utf-8").split()
LISTS = {
    *("scripts.scripts_data", "sd_samplers.samplers", "sd_samplers.samplers_for_img2img", "sd_samplers.all_samplers"),
    *("sd_schedulers.schedulers", "shared.sd_upscalers", "extensions.extensions", "ui_extra_networks.extra_pages"),
    "infotext_utils.registered_param_bindings",
}
TEXTS = {
    *("paths.models_path", "paths.extensions_dir", "paths.data_path", "paths.script_path", "shared.data_path"),
    *("shared.models_path", "sd_models.model_path", "shared.config_filename", "ui.refresh_symbol"),
}
NOT_CALLED = {"module", "NoneType", "bool"}


def named(name: str) -> Any:
    """ "sd_models.CheckpointInfo" -> the object, as `from modules.sd_models import CheckpointInfo` gives it."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            module = importlib.import_module("modules." + ".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        found = module
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"no module of {name}")


def test_there_are_as_many_as_were_counted() -> None:
    assert len(COUNTED) >= 184
    assert not set(COUNTED) & set(OTHERS)


@pytest.mark.parametrize("name", [name for name in COUNTED if not name.endswith("*")])
def test_every_name_of_tier_1_and_2_is_there(program: Program, name: str) -> None:
    found = named(name)
    if name in LISTS:
        assert isinstance(found, list)
    elif name in TEXTS:
        assert isinstance(found, str)
        assert found
    last = name.split(".")[-1]
    if last[0].isupper() and last not in ("AlwaysVisible",):
        assert callable(found), "a class"


@pytest.mark.parametrize("name", OTHERS)
def test_every_name_of_tier_3_is_there(program: Program, name: str) -> None:
    named(name)


def test_they_are_not_there_without_the_room() -> None:
    """The core cannot lean on them: their folder is on the package's path only while a program has it installed."""
    from modules.compat import install

    assert not any(Path(install.NAMES).glob("__init__.py"))
    top = {path.stem for path in Path(install.NAMES).glob("*.py")}
    own = {path.stem for path in Path(install.NAMES).parents[1].iterdir()} - {"compat"}
    assert not top & own


# --- and behave


def test_shared_is_live_and_cannot_be_shadowed(program: Program) -> None:
    from modules import shared  # type: ignore[attr-defined]

    assert shared.opts.samples_format == "png"
    shared.opts.set("jpeg_quality", 81)
    assert program.app.options.snapshot()["jpeg_quality"] == 81
    assert shared.opts.data["jpeg_quality"] == 81
    assert shared.opts.get_default("jpeg_quality") == 80
    shared.opts.jpeg_quality = 80
    assert program.app.options.snapshot()["jpeg_quality"] == 80
    with pytest.raises(AttributeError):
        _ = shared.opts.no_such_setting
    shared.sd_model = "something"
    assert shared.sd_model != "something"
    assert shared.cmd_opts.medvram is False
    assert shared.cmd_opts.data_dir == str(program.app.paths.data)


def test_facts_of_the_checkpoint_do_not_load_it(program: Program) -> None:
    from modules import sd_models, shared  # type: ignore[attr-defined]

    info = shared.sd_model.sd_checkpoint_info
    assert info.name == "tiny-sd1.safetensors"
    assert shared.sd_model.is_sd1
    assert not shared.sd_model.is_sdxl
    assert info.title in sd_models.checkpoint_tiles() or info.name in sd_models.checkpoint_tiles()
    assert sd_models.get_closet_checkpoint_match("tiny-sd1").filename == info.filename
    assert sd_models.get_closet_checkpoint_match("no such") is None
    assert sd_models.select_checkpoint() == info


def test_prompts_are_parsed_as_a1111_does(program: Program) -> None:
    from modules import extra_networks, prompt_parser  # type: ignore[attr-defined]

    assert prompt_parser.parse_prompt_attention("a (b:1.5)") == [["a ", 1.0], ["b", 1.5]]
    schedule = prompt_parser.get_learned_conditioning_prompt_schedules(["[a:b:3]"], 10)
    assert schedule == [[[3, "a"], [10, "b"]]]
    text, found = extra_networks.parse_prompt("x <lora:y:0.5> z")
    assert text == "x  z"
    assert found["lora"][0].positional == ["y", "0.5"]
    places, flat, _ = prompt_parser.get_multicond_prompt_list(["a AND b :0.5"])
    assert [weight for _, weight in places[0]] == [1.0, 0.5]
    assert len(flat) == 2


def test_infotexts_are_read_by_both_names(program: Program) -> None:
    from modules import generation_parameters_copypaste, infotext_utils  # type: ignore[attr-defined]

    assert generation_parameters_copypaste is infotext_utils
    found = infotext_utils.parse_generation_parameters("a cat\nNegative prompt: dog\nSteps: 5, Seed: 3, Size: 64x96")
    assert (found["Prompt"], found["Negative prompt"], found["Steps"], found["Size-2"]) == ("a cat", "dog", "5", "96")
    assert infotext_utils.create_override_settings_dict(["Clip skip: 2"]) == {"CLIP_stop_at_last_layers": 2}
    assert infotext_utils.infotext_pasted("a\nSteps: 5, Seed: 3, Size: 64x96")["Every word"] == "pasted"


def test_pictures_are_saved_read_and_resized(program: Program, tmp_path: Path) -> None:
    from PIL import Image

    from modules import images  # type: ignore[attr-defined]

    picture = Image.new("RGB", (40, 20), "red")
    path, _ = images.save_image(picture, str(tmp_path), "", seed=7, prompt="a", info="a\nSteps: 1", save_to_dirs=False)
    assert Path(path).name == "00000-7-a.png"
    assert images.get_next_sequence_number(str(tmp_path), "") == 1
    text, items = images.read_info_from_image(Image.open(path))
    assert text == "a\nSteps: 1"
    assert items == {}
    assert images.resize_image(1, picture, 16, 16).size == (16, 16)
    assert images.flatten(Image.new("RGBA", (2, 2)), "#00ff00").getpixel((0, 0)) == (0, 255, 0)
    assert images.sanitize_filename_part('a/b:"c') == "a_b__c"
    grid = images.split_grid(picture.resize((96, 96)), 64, 64, 32)
    assert images.combine_grid(grid).size == (96, 96)


def test_base64_comes_back(program: Program) -> None:
    from PIL import Image

    from modules.api.api import (  # type: ignore[import-not-found]
        decode_base64_to_image,
        encode_pil_to_base64,
    )

    picture = Image.new("RGB", (8, 8), "blue")
    encoded = encode_pil_to_base64(picture).decode()
    assert decode_base64_to_image(f"data:image/png;base64,{encoded}").getpixel((1, 1)) == (0, 0, 255)


def test_masks_and_patches_and_files(program: Program, tmp_path: Path) -> None:
    import types

    from PIL import Image

    from modules import cache, hashes, masking, patches  # type: ignore[attr-defined]

    mask = Image.new("L", (20, 20))
    mask.paste(255, (5, 6, 9, 10))
    assert masking.get_crop_region(mask, 1) == (4, 5, 10, 11)
    assert masking.get_crop_region_v2(Image.new("L", (4, 4))) is None
    thing = types.SimpleNamespace(f=1)
    assert patches.patch("me", thing, "f", 2) == 1
    with pytest.raises(RuntimeError):
        patches.patch("me", thing, "f", 3)
    patches.undo("me", thing, "f")
    assert thing.f == 1
    file = tmp_path / "x.bin"
    file.write_bytes(b"abc")
    assert hashes.sha256_from_cache(str(file), "x") is None
    assert hashes.sha256(str(file), "x").startswith("ba7816bf")
    assert hashes.sha256_from_cache(str(file), "x").startswith("ba7816bf")
    assert cache.cached_data_for_file("s", "t", str(file), lambda: {"v": 1}) == {"v": 1}
    assert cache.cached_data_for_file("s", "t", str(file), lambda: {"v": 2}) == {"v": 1}


def test_launch_is_at_hand(program: Program) -> None:
    import launch as found

    launch: Any = found
    assert launch.is_installed("pytest")
    assert not launch.is_installed("no-such-package-here")
    assert launch.git_tag() == "v1.10.1"
    assert launch.args.medvram is False
    assert callable(launch.run_pip)
    assert callable(launch.git_clone)
