"""`infotext_utils` (of old: `generation_parameters_copypaste`): reading infotexts, and the page's paste buttons."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
from pathlib import Path
from typing import Any

from PIL import Image

from modules.compat import callbacks as script_callbacks
from modules.compat import room as rooms
from modules.prompts import importing, infotext, pasted_styles

type_of_gr_update = dict
registered_param_bindings: list[ParamBinding] = []
paste_fields: dict[str, dict[str, Any]] = {}


class PasteField(tuple[Any, ...]):
    """(widget, label or function of the parsed text)."""

    def __new__(cls, component: Any, target: Any, *, api: str | None = None) -> PasteField:
        return super().__new__(cls, (component, target))

    def __init__(self, component: Any, target: Any, *, api: str | None = None) -> None:
        super().__init__()
        self.api, self.component = api, component
        self.label = target if isinstance(target, str) else None
        self.function = target if callable(target) else None


@dataclasses.dataclass
class ParamBinding:
    """A button that brings a text or picture into a tab."""

    paste_button: Any
    tabname: str
    source_text_component: Any = None
    source_image_component: Any = None
    source_tabname: str | None = None
    override_settings_component: Any = None
    paste_field_names: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.paste_field_names = self.paste_field_names or []


def reset() -> None:
    paste_fields.clear()
    registered_param_bindings.clear()


def quote(text: Any) -> str:
    import json

    text = str(text)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",\n:") else text


def unquote(text: str) -> str:
    import json

    if not text or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def parse_generation_parameters(x: str, skip_fields: list[str] | None = None) -> dict[str, Any]:
    """Label -> value, with what the text implies."""
    room = rooms.current()
    skipped = room.opts.infotext_skip_pasting if skip_fields is None else skip_fields
    heard = pasted_styles.inferred(importing.parse(x), room.app.styles, room.opts.infotext_styles)
    found = infotext.with_defaults(heard, backward_compatible=room.opts.auto_backcompat)
    return {label: value for label, value in found.items() if label not in (skipped or ())}


def infotext_pasted(text: str) -> dict[str, Any]:
    """The parsed text as the callbacks of on_infotext_pasted leave it."""
    params = parse_generation_parameters(text)
    script_callbacks.infotext_pasted_callback(text, params)
    return params


def create_override_settings_dict(text_pairs: list[str]) -> dict[str, Any]:
    """["label: value", …] -> key -> value."""
    registry = rooms.current().app.options.registry
    labels = registry.labels()
    found = {}
    for pair in text_pairs:
        label, colon, value = pair.partition(":")
        key = labels.get(label.strip())
        if colon and key is not None:
            found[key] = registry.check(key, unquote(value.strip()))
    return found


get_override_settings = create_override_settings_dict


def image_from_url_text(filedata: Any) -> Image.Image | None:
    """A gallery's value, a data address or a file as a picture."""
    if filedata is None:
        return None
    if isinstance(filedata, list | tuple):
        return image_from_url_text(filedata[0]) if filedata else None
    if isinstance(filedata, Image.Image):
        return filedata
    if isinstance(filedata, dict):
        inner = filedata.get("image") or filedata
        filedata = inner.get("path") or inner.get("name") or inner.get("url") if isinstance(inner, dict) else inner
    text = str(getattr(filedata, "name", filedata))
    if text.startswith("data:image/"):
        return Image.open(io.BytesIO(base64.b64decode(text.split(",", 1)[1])))
    text = text.rsplit("?", 1)[0].removeprefix("file=")
    allowed = [Path(folder).resolve() for folder in rooms.current().app.services.allowed_folders]
    path = Path(text).resolve()
    temporary = Path(os.environ.get("GRADIO_TEMP_DIR") or __import__("tempfile").gettempdir()).resolve()
    if not any(folder in path.parents for folder in (*allowed, temporary)):
        raise ValueError(f"The file {text} is outside of the folders whose pictures may be shown.")
    image = Image.open(path)
    image.load()
    return image


def add_paste_fields(tabname: str, init_img: Any, fields: Any, override_settings_component: Any = None) -> None:
    if fields:
        fields = [each if isinstance(each, PasteField) else PasteField(*each) for each in fields]
    paste_fields[tabname] = {
        "init_img": init_img,
        "fields": fields,
        "override_settings_component": override_settings_component,
    }


def create_buttons(tabs_list: list[str]) -> dict[str, Any]:
    """Tab -> a button that sends to it."""
    import gradio as gr

    return {tab: gr.Button(f"Send to {tab}", elem_id=f"{tab}_tab") for tab in tabs_list}


def bind_buttons(buttons: dict[str, Any], send_image: Any, send_generate_info: Any) -> None:
    """Join those buttons with a picture and a text (a widget, or the name of a tab)."""
    for tabname, button in buttons.items():
        text = send_generate_info if not isinstance(send_generate_info, str) else None
        tab = send_generate_info if isinstance(send_generate_info, str) else None
        register_paste_params_button(
            ParamBinding(
                paste_button=button,
                tabname=tabname,
                source_text_component=text,
                source_image_component=send_image,
                source_tabname=tab,
            )
        )


def register_paste_params_button(binding: ParamBinding) -> None:
    """Remember a button; `page` joins them all when every tab is there."""
    registered_param_bindings.append(binding)


def connect_paste_params_buttons() -> None:
    """The page does so by itself when every tab is there."""


def connect_paste(
    button: Any, local_paste_fields: Any, input_comp: Any, override_settings_component: Any, tabname: str
) -> None:
    """A button that reads the text in a widget into these fields."""
    import gradio as gr

    fields = [each if isinstance(each, PasteField) else PasteField(*each) for each in local_paste_fields]

    def paste(prompt: str) -> list[Any]:
        params = infotext_pasted(prompt or "")
        return [_update(gr, each, params) for each in fields]

    button.click(fn=paste, inputs=[input_comp], outputs=[each.component for each in fields], show_progress="hidden")


def _update(gr: Any, field: PasteField, params: dict[str, Any]) -> Any:
    value = field.function(params) if field.function else params.get(field.label or "")
    if value is None:
        return gr.update()
    if isinstance(value, dict) and value.get("__type__") == "update":
        return value
    kind = type(getattr(field.component, "value", None))
    if kind is bool and isinstance(value, str):
        value = value.strip() != "False"
    elif kind in (int, float) and isinstance(value, str):
        try:
            value = float(value) if "." in value or kind is float else int(value)
        except ValueError:
            return gr.update()
    return gr.update(value=value)


def send_image_and_dimensions(x: Any) -> tuple[Any, Any, Any]:
    image = x if isinstance(x, Image.Image) else image_from_url_text(x)
    import gradio as gr

    if image is None or not rooms.current().opts.send_size:
        return image, gr.update(), gr.update()
    return image, int(image.width), int(image.height)
