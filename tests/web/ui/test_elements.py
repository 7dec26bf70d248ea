"""Element ids are A1111's: the reference's list, compared with the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import pytest

from modules.web.ui import page
from tests.web.ui.fakes import World

REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "a1111-ui-elements.json"

ELSEWHERE = {
    r"_interrupting$": "Interrupt itself says so and is dead meanwhile",
    r"_(prompts|edit_user_metadata|edit_user_metadata_name|edit_user_metadata_button|extra_refresh_internal)$": (
        "cards are drawn, and edited, by assets/cards.js"
    ),
    r"^checpoint_edit_|_save_preview$|_preview_filename$": "in the cards' own dialog",
    r"_hr-extra$|^extra_options_": "options in a form are not offered",
    r"^script_list$": "txt2img_script_list and img2img_script_list: A1111 has the id twice",
    r"_textbox_file$|^xyz_grid_fill_|_axes|^axis_options$": "a menu does it; files are pasted",
    r"_generation_info_button$": "a picture that is picked shows its text at once",
    r"^soft_inpainting|^mask_blend|^inpaint_detail|^composite_": "of an extension",
    r"^img2img_batch_(source|upload_tab|from_dir_tab|use_png_info)$": "one tab; a choice that is empty",
    r"^img2img_(tab_resize_to|scale_resolution_preview|unused_scale_by_slider|update_resize_to)$": "a tick does it",
    r"^extras_scale_|^upscaling_|^html_info_x_extras$": "a choice in place of tabs",
    r"^settings_(submit|restart_gradio|show_|callbacks|profiler|ui_alternatives|settings_in_ui|canvas|API|system|"
    r"training|interrogate|reload|tab_)|^column_settings|^refresh_(sd_|localization|interrogate)|^sysinfo|^sett_|^calculate|"
    r"^licenses$|^request_notifications$|^download_localization$": "settings are saved at once, in one list",
    r"^tab_(train|extensions)$|^train_|^refresh_train|^refrsh_|^use_weight$|^ti_": "a tab of its own",
    r"extension": "a tab of its own",
    r"^refresh_config_states$": "a tab of its own",
}
"""Patterns of ids that this page does not have, and why."""


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference is absent")
def test_every_id_of_a1111_is_there_once_or_accounted_for(make_world: Callable[..., World]) -> None:
    built = page.build(make_world().services)
    ids = [block.elem_id for block in built.blocks.values() if getattr(block, "elem_id", None)]
    drawn = "".join(block.value or "" for block in built.blocks.values() if isinstance(block, gr.HTML))
    ids += re.findall(r'\bid="([^"]+)"', drawn)
    assert sorted({id for id in ids if ids.count(id) > 1}) == []
    listed = dict.fromkeys(entry["elem_id"] for entry in json.loads(REFERENCE.read_text()) if entry.get("elem_id"))
    known = [id for id in listed if not id.startswith("setting_")]
    missing = [id for id in known if id not in ids]
    lost = [id for id in missing if not any(re.search(pattern, id) for pattern in ELSEWHERE)]
    assert lost == []
    assert len(known) - len(missing) > 290
