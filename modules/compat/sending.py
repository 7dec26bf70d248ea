"""Buttons with which extensions send a picture, a text or settings to a tab of the page, and the fields they fill.

Widgets of the page are known by their element ids (`Room.widgets`), under the labels that they have in infotexts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.compat import texts

if TYPE_CHECKING:
    from modules.compat.room import Room

LABELS = (
    *(("prompt", "Prompt"), ("neg_prompt", "Negative prompt"), ("steps", "Steps"), ("sampling", "Sampler")),
    *(("scheduler", "Schedule type"), ("cfg_scale", "CFG scale"), ("seed", "Seed"), ("subseed", "Variation seed")),
    *(("width", "Size-1"), ("height", "Size-2"), ("batch_size", "Batch size")),
    *(("denoising_strength", "Denoising strength"), ("hr_scale", "Hires upscale"), ("hr_upscaler", "Hires upscaler")),
)
"""End of an element id -> what an infotext calls it; prompts come first, extensions count on that."""

PICTURES = {"img2img": "img2img_image", "inpaint": "img2maskimg", "extras": "extras_image"}
"""Tab -> the element id of the picture it starts from."""

SENT = ("Prompt", "Negative prompt", "Steps", "Sampler", "Schedule type", "CFG scale", "Size-1", "Size-2")
"""What goes along when a button sends one tab's settings to another; the seed does where `send_seed` is on."""


def fields(room: Room, tab: str) -> list[texts.PasteField]:
    """The page's widgets of txt2img or img2img that an infotext fills, those that there are."""
    known = ((room.widgets.get(f"{tab}_{end}"), label) for end, label in LABELS)
    return [texts.PasteField(widget, label) for widget, label in known if widget is not None]


def declare(room: Room) -> None:
    """Every tab's fields and picture become known to `infotext_utils`, and to `ui` under their names of old."""
    from modules.compat import widgets

    made = {tab: fields(room, tab) for tab in ("txt2img", "img2img")}
    for tab, known in {**made, "inpaint": made["img2img"], "extras": []}.items():
        texts.add_paste_fields(tab, room.widgets.get(PICTURES.get(tab, "")), known)
    widgets.txt2img_paste_fields, widgets.img2img_paste_fields = made["txt2img"], made["img2img"]


def join(room: Room) -> None:
    """Let every registered button do what it is for. Call where the page is built, when all tabs are there."""
    for binding in texts.registered_param_bindings:
        goal = texts.paste_fields.get(binding.tabname)
        if goal is None:
            continue
        if binding.source_image_component is not None and goal["init_img"] is not None:
            _send_picture(room, binding, goal)
        if binding.source_text_component is not None and goal["fields"]:
            texts.connect_paste(
                binding.paste_button, goal["fields"], binding.source_text_component, None, binding.tabname
            )
        source = texts.paste_fields.get(binding.source_tabname or "")
        if source and source["fields"] and goal["fields"]:
            _send_settings(room, binding, source["fields"], goal["fields"])
        script = f"() => {{ switch_to_{binding.tabname}(); }}"
        binding.paste_button.click(None, js=script, show_progress="hidden", api_visibility="private")


def _send_picture(room: Room, binding: texts.ParamBinding, goal: dict[str, Any]) -> None:
    """The picture, of a gallery the chosen one, and its size where the tab has fields for that."""
    sizes = [each for label in ("Size-1", "Size-2") for each in goal["fields"] if each.label == label]

    def send(source: Any) -> Any:
        picture, width, height = texts.send_image_and_dimensions(source)
        return [picture, width, height] if len(sizes) == 2 else picture

    gallery = isinstance(binding.source_image_component, gr.Gallery)
    chosen = "(pictures) => [pictures && pictures.length ? extract_image_from_gallery(pictures) : null]"
    binding.paste_button.click(
        send,
        inputs=[binding.source_image_component],
        outputs=[goal["init_img"], *((each.component for each in sizes) if len(sizes) == 2 else ())],
        js=chosen if gallery else None,
        show_progress="hidden",
        api_visibility="private",
    )


def _send_settings(
    room: Room, binding: texts.ParamBinding, source: list[texts.PasteField], goal: list[texts.PasteField]
) -> None:
    """What both tabs have of `SENT` and of what the button names."""
    names = {*SENT, *binding.paste_field_names, *(("Seed",) if room.opts.send_seed else ())}
    targets = {each.label: each.component for each in goal}
    both = [each for each in source if each.label in names and each.label in targets]
    binding.paste_button.click(
        lambda *given: list(given) if len(given) > 1 else given[0],
        inputs=[each.component for each in both],
        outputs=[targets[each.label] for each in both],
        show_progress="hidden",
        api_visibility="private",
    )
