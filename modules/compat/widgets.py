"""`ui` and `ui_common`: helpers for widgets that extensions build into their tabs."""

from __future__ import annotations

import dataclasses
import html
import json
from pathlib import Path
from typing import Any

import gradio as gr

from modules.compat import room as rooms
from modules.compat.components import ToolButton
from modules.settings.version import VERSION

folder_symbol = "\U0001f4c2"
refresh_symbol = "\U0001f504"
random_symbol = "\U0001f3b2\ufe0f"
reuse_symbol = "\u267b\ufe0f"
paste_symbol = "\u2199\ufe0f"
save_style_symbol = "\U0001f4be"
apply_style_symbol = "\U0001f4cb"
clear_prompt_symbol = "\U0001f5d1\ufe0f"
extra_networks_symbol = "\U0001f3b4"
switch_values_symbol = "\U000021c5"
restore_progress_symbol = "\U0001f300"
detect_image_size_symbol = "\U0001f4d0"
styles_materialize_symbol = "\U0001f4cb"
styles_edit_symbol = "\U0001f58c\ufe0f"


txt2img_paste_fields: list[Any] = []
img2img_paste_fields: list[Any] = []
"""(widget, label) of the page's own, prompts first; there before tabs of extensions are made (`sending.declare`)."""


def gr_show(visible: bool = True) -> dict[str, Any]:
    return {"visible": visible, "__type__": "update"}


def plaintext_to_html(text: str, classname: str | None = None) -> str:
    content = "<br>\n".join(html.escape(line) for line in str(text).split("\n"))
    return f"<p class='{classname}'>{content}</p>" if classname else f"<p>{content}</p>"


def versions_html() -> str:
    import sys

    parts = {"version": VERSION, "python": sys.version.split()[0], "gradio": gr.__version__}
    return " • ".join(f"{name}: {html.escape(str(value))}" for name, value in parts.items())


def create_refresh_button(
    refresh_component: Any, refresh_method: Any, refreshed_args: Any, elem_id: str | None
) -> ToolButton:
    """A 🔄 that calls refresh_method and gives widgets these keywords anew."""
    several = refresh_component if isinstance(refresh_component, list) else [refresh_component]

    def refresh() -> Any:
        refresh_method()
        keywords = refreshed_args() if callable(refreshed_args) else refreshed_args
        for component in several:
            for name, value in keywords.items():
                setattr(component, name, value)
        updates = [gr.update(**(keywords or {})) for _ in several]
        return updates if len(updates) > 1 else updates[0]

    button = ToolButton(value=refresh_symbol, elem_id=elem_id)
    button.click(refresh, [], several, show_progress="hidden", api_visibility="private")
    return button


def setup_dialog(button_show: Any, dialog: Any, *, button_close: Any = None) -> None:
    """A dialog and the buttons that open and close it."""
    button_show.click(lambda: gr.update(visible=True), [], [dialog], show_progress="hidden")
    if button_close is not None:
        button_close.click(lambda: gr.update(visible=False), [], [dialog], show_progress="hidden")


@dataclasses.dataclass
class OutputPanel:
    """Where results are shown; as a tuple it is what it was before 1.9."""

    gallery: Any = None
    generation_info: Any = None
    infotext: Any = None
    html_log: Any = None
    button_upscale: Any = None

    def __iter__(self) -> Any:
        return iter((self.gallery, self.generation_info, self.infotext, self.html_log))


def create_output_panel(tabname: str, outdir: str, toprow: Any = None) -> OutputPanel:
    """A gallery with its texts and the buttons that send to other tabs."""
    from modules.compat import texts

    panel = OutputPanel()
    with gr.Column(elem_id=f"{tabname}_results_panel"):
        panel.gallery = gr.Gallery(
            label="Output", show_label=False, elem_id=f"{tabname}_gallery", columns=4, preview=True, interactive=False
        )
        with gr.Row(elem_id=f"image_buttons_{tabname}"):
            save = ToolButton("💾", elem_id=f"save_{tabname}")
            buttons = {
                tab: ToolButton(symbol, elem_id=f"{tabname}_send_to_{tab}")
                for tab, symbol in (("img2img", "🖼️"), ("inpaint", "🎨️"), ("extras", "📐"))
            }
        panel.infotext = gr.HTML(elem_id=f"html_info_{tabname}")
        panel.html_log = gr.HTML(elem_id=f"html_log_{tabname}")
        panel.generation_info = gr.Textbox(visible="hidden", elem_id=f"generation_info_{tabname}")
        save.click(
            lambda info, pictures: save_files(info, pictures, False, -1)[1],
            [panel.generation_info, panel.gallery],
            [panel.html_log],
            show_progress="hidden",
        )
        for tab, button in buttons.items():
            texts.register_paste_params_button(
                texts.ParamBinding(button, tab, source_tabname=tabname, source_image_component=panel.gallery)
            )
    return panel


def update_generation_info(generation_info: str, html_info: str, img_index: int) -> tuple[str, Any]:
    """(the text of the picture that is shown, an update)."""
    try:
        info = json.loads(generation_info)
        texts = info["infotexts"]
        if 0 <= img_index < len(texts):
            return plaintext_to_html(texts[img_index]), gr.update()
    except (ValueError, KeyError, TypeError):
        pass
    return html_info, gr.update()


def save_files(js_data: str, images: Any, do_make_zip: bool, index: int) -> tuple[Any, str]:
    """Copies pictures of a gallery into the folder of the option outdir_save."""
    import shutil

    from modules.compat import texts

    room = rooms.current()
    folder = room.app.paths.data / room.opts.outdir_save
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [images[index]] if images and index > -1 else list(images or ())
    saved = []
    for each in wanted:
        source = each[0] if isinstance(each, list | tuple) else each
        source = source.get("name") or source.get("path") if isinstance(source, dict) else source
        target = folder / Path(str(source)).name
        if Path(str(source)).is_file():
            shutil.copyfile(str(source), target)
        else:
            texts.image_from_url_text(source).save(target.with_suffix(".png"))  # type: ignore[union-attr]
        saved.append(str(target))
    told = plaintext_to_html(f"Saved: {Path(saved[0]).name}" if saved else "Nothing to save.")
    return gr.update(value=saved, visible=bool(saved)), told


def create_override_settings_dropdown(tabname: str, row: Any = None) -> Any:
    """The menu of settings that hold for one picture alone, shown while it has any."""
    menu = gr.Dropdown(
        [], value=[], label="Override settings", multiselect=True, elem_id=f"{tabname}_override_settings", visible=False
    )
    menu.change(
        lambda chosen: gr.update(visible=bool(chosen)), [menu], [menu], show_progress="hidden", api_visibility="private"
    )
    return menu


def ordered_ui_categories() -> list[str]:
    """Names of the parts of A1111's txt2img and img2img tabs, in its order, those first that ui_reorder_list names."""
    chosen = [each for each in rooms.current().opts.get("ui_reorder_list", []) or [] if each in UI_CATEGORIES]
    return [*chosen, *(each for each in UI_CATEGORIES if each not in chosen)]


UI_CATEGORIES = (
    *("prompt", "image", "inpaint", "sampler", "accordions", "checkboxes", "dimensions", "cfg", "denoising", "seed"),
    *("batch", "override_settings", "scripts"),
)


def resize_from_to_html(width: float, height: float, scale_by: float) -> str:
    """A sentence about a picture's size before and after."""
    to = int(width * scale_by), int(height * scale_by)
    if not all(to):
        return "no image selected"
    sizes = [f"<span class='resolution'>{wide}x{high}</span>" for wide, high in ((width, height), to)]
    return f"resize: from {sizes[0]} to {sizes[1]}"


def open_folder(f: str) -> None:
    """Easel opens no windows on the server."""


def create_setting_component(key: str, is_quicksettings: bool = False) -> Any:
    """A widget for a setting, showing its value."""
    opts = rooms.current().opts
    info = opts.data_labels[key]
    arguments = info.component_args() if callable(info.component_args) else dict(info.component_args or {})
    kinds = {bool: gr.Checkbox, int: gr.Number, float: gr.Number}
    kind = info.component or (gr.Dropdown if "choices" in arguments else kinds.get(type(info.default), gr.Textbox))
    elem_id = "setting_" + key
    value = opts.get(key, info.default)
    made = kind(label=info.label, value=value, elem_id=elem_id, **arguments)
    if info.refresh is not None:
        create_refresh_button(made, info.refresh, info.component_args, f"refresh_{key}")
    return made


def materialize_styles(prompt: str, negative_prompt: str, styles: list[str]) -> list[Any]:
    """The prompts with their styles, and no style chosen any more."""
    prompt, negative_prompt, _ = rooms.current().app.styles.apply(styles, prompt, negative_prompt)
    return [gr.update(value=prompt), gr.update(value=negative_prompt), gr.update(value=[])]


def wrap_gradio_gpu_call(func: Any, extra_outputs: Any = None) -> Any:
    """The call with the models to itself; its time goes below its text, its failure in place of it."""

    def call(*args: Any, **kwargs: Any) -> Any:
        room = rooms.current()
        with room.floor:
            room.state.begin(getattr(func, "__name__", "extension"))
            try:
                return func(*args, **kwargs)
            finally:
                room.state.end()

    return wrap_gradio_call(call, extra_outputs=extra_outputs, add_stats=True)


def wrap_gradio_call(func: Any, extra_outputs: Any = None, add_stats: bool = False) -> Any:
    import logging
    import time

    def call(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            result = list(func(*args, **kwargs))
        except Exception as error:
            logging.getLogger(__name__).exception("An extension's work failed.")
            more = extra_outputs if extra_outputs is not None else [None, ""]
            result = [*more, f"<div class='error'>{html.escape(f'{type(error).__name__}: {error}')}</div>"]
        if add_stats and isinstance(result[-1], str):
            seconds = time.perf_counter() - started
            result[-1] += f"<div class='performance'><p class='time'>Time taken: {seconds:.1f} sec.</p></div>"
        return tuple(result)

    return call


def wrap_queued_call(func: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        with rooms.current().floor:
            return func(*args, **kwargs)

    return call
