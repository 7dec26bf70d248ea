"""The img2img tab: six ways to give it a picture, and the request that it makes. Built by `page`; what the buttons do
is in `generation`, what is painted becomes a mask in `painting`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from modules.core.errors import BadRequest
from modules.generate import folder
from modules.imaging.reading import read_picture
from modules.web.ui import defaults, fields, painting, passes, rows, scripts, toprow
from modules.web.ui.form import QUIET, Form, seen
from modules.web.ui.generation import Submitted, Tab, Tools, make_screen
from modules.web.ui.rows import Widgets
from modules.web.ui.screen import OWNER, panel

if TYPE_CHECKING:
    from modules.generate.scripts.registry import Tab as Name
    from modules.samplers.catalog import Catalog
    from modules.web.services import Services
    from modules.web.ui.media import Media

NAME: Name = "img2img"
RESIZE_MODES = ("Just resize", "Crop and resize", "Resize and fill", "Just resize (latent upscale)")
FILLS = ("fill", "original", "latent noise", "latent nothing")
PLAIN, SKETCH, INPAINT, COLOURED, UPLOAD, BATCH = range(6)
"""The modes, in the order of their tabs."""
FIELDS = ("image", "sketch", "inpaint", "inpaint_sketch", "base")
"""The field with the picture of each mode but the last."""
COPIED = ("img2img", "sketch", "inpaint", "inpaint_sketch")
"""The modes that a picture can be copied between, as element ids name them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Places:
    """Where other tabs send pictures: the widgets, and the tabs of modes with their ids. copies: (from mode, to mode)
    -> the button; detect: takes the picture's size; describe: element id -> the button that has it described.
    """

    modes: gr.Tabs
    image: gr.Image
    inpaint: gr.ImageEditor
    copies: dict[tuple[int, int], gr.Button]
    detect: gr.Button
    describe: dict[str, gr.Button]


def build(services: Services, catalog: Catalog, media: Media) -> tuple[Tab, Places]:
    """Make the widgets, inside the tab that the caller has opened."""
    notice = gr.HTML(elem_id="img2img_no_checkpoint", visible=False)
    top = toprow.build(NAME, services)
    with toprow.sides(NAME, services, media) as islands, gr.Row(elem_classes=["generation"]):
        with gr.Column(elem_id="img2img_settings", min_width=320):
            pictures, found = modes()
            settings, tools = settings_column(services, catalog)
        with gr.Column(elem_id="img2img_results", min_width=320):
            shown = panel(NAME)
    describe = {id: top.tools.pop(id) for id in ("interrogate", "deepbooru")}
    places = Places(**found, detect=tools.pop("detect"), describe=describe)
    form = Form(top.form | pictures | settings)
    defaults.apply(services.paths.ui_config, NAME, [widget for widget in form if not isinstance(widget, gr.State)])

    def submit(values: Mapping[str, Any]) -> Submitted:
        script, arguments = scripts.read(values, NAME, services)
        if values["mode"] == BATCH:
            return submit_folder(values, services, script, arguments)
        asked = fields.img2img(dict(values) | given(values, services), services.options.registry)
        asked = dataclasses.replace(asked, extension_args=scripts.always_on(values, NAME, services))
        return Submitted((services.submit(asked, script=script, arguments=arguments, owner=OWNER),))

    tab = Tab(
        notice=notice,
        form=form,
        tools=Tools(**top.tools, **tools),
        screen=make_screen(services, NAME, top.main, shown),
        submit=submit,
        styles=top.styles,
        islands=tuple(islands),
    )
    return tab, places


def modes() -> tuple[Widgets, dict[str, Any]]:
    """A tab for each mode, with its picture; what only inpainting needs is shown with it -> form, parts of Places."""
    form: Widgets = {"mode": gr.State(PLAIN)}
    copies: dict[tuple[int, int], gr.Button] = {}
    with gr.Tabs(elem_id="mode_img2img") as tabs:
        opened = []
        for number, (label, elem_id, fill) in enumerate(_MODES):
            with gr.Tab(label, id=number, elem_id=elem_id) as mode:
                form |= fill()
                copies |= copy_row(number)
            opened.append(mode)
    with gr.Group(visible=seen(False), elem_id="inpaint_controls") as controls:
        form |= inpaint_rows()
    with gr.Group(visible=seen(False)) as colour_row:
        form["mask_transparency"] = gr.Slider(
            0, 100, 0, step=1, label="Mask transparency", elem_id="img2img_mask_alpha", min_width=200
        )
    for number, mode in enumerate(opened):
        mode.select(_chooser(number), None, [form["mode"], controls, colour_row], **QUIET)
    return form, {"modes": tabs, "image": form["image"], "inpaint": form["inpaint"], "copies": copies}


def copy_row(mode: int) -> dict[tuple[int, int], gr.Button]:
    """ "Copy image to …" -> the buttons by (from, to); nothing for modes that have no place for a copy."""
    if mode >= len(COPIED):
        return {}
    name = COPIED[mode]
    with gr.Row(elem_id=f"img2img_copy_to_{name}", elem_classes=["copy-to"]):
        gr.HTML("Copy image to:", elem_id=f"img2img_label_copy_to_{name}")
        return {
            (mode, other): gr.Button(title.replace("_", " "), min_width=60, size="sm")
            for other, title in enumerate(COPIED)
            if other != mode
        }


def _chooser(number: int) -> Any:
    masked = number in (INPAINT, COLOURED, UPLOAD)

    def choose() -> tuple[Any, ...]:
        return number, gr.update(visible=seen(masked)), gr.update(visible=seen(number == COLOURED))

    return choose


def _plain() -> Widgets:
    return {"image": _upload("Image for img2img", "img2img_image")}


def _sketch() -> Widgets:
    return {"sketch": _editor("Sketch", "img2img_sketch", colours=True)}


def _inpaint() -> Widgets:
    return {"inpaint": _editor("Image for inpainting with mask", "img2maskimg", colours=False)}


def _coloured() -> Widgets:
    return {"inpaint_sketch": _editor("Color sketch inpainting", "inpaint_sketch", colours=True)}


def _uploaded() -> Widgets:
    return {
        "base": _upload("Image for img2img", "img_inpaint_base"),
        "mask": _upload("Mask: white may change", "img_inpaint_mask"),
    }


def _batch() -> Widgets:
    files = gr.File(
        label="Files", file_count="multiple", file_types=["image"], type="filepath", elem_id="img2img_batch_upload"
    )
    folder = gr.Textbox(label="Input directory", elem_id="img2img_batch_input_dir", placeholder="On the server")
    output = gr.Textbox(label="Output directory", elem_id="img2img_batch_output_dir", placeholder="Empty: as usual")
    masks = gr.Textbox(
        label="Inpaint batch mask directory (required for inpaint batch processing only)",
        elem_id="img2img_batch_inpaint_mask_dir",
    )
    reused = gr.CheckboxGroup(
        ["Prompt", "Negative prompt", "Seed", "CFG scale", "Sampler", "Steps", "Model hash"],
        value=[],
        label="Parameters to take from png info",
        elem_id="img2img_batch_png_info_props",
    )
    texts = gr.Textbox(
        label="PNG info directory",
        elem_id="img2img_batch_png_info_dir",
        placeholder="Empty: the pictures' own",
    )
    return {
        "batch_files": files,
        "batch_folder": folder,
        "batch_output": output,
        "batch_masks": masks,
        "batch_reused": reused,
        "batch_texts": texts,
    }


_MODES = (
    ("img2img", "img2img_img2img_tab", _plain),
    ("Sketch", "img2img_img2img_sketch_tab", _sketch),
    ("Inpaint", "img2img_inpaint_tab", _inpaint),
    ("Inpaint sketch", "img2img_inpaint_sketch_tab", _coloured),
    ("Inpaint upload", "img2img_inpaint_upload_tab", _uploaded),
    ("Batch", "img2img_batch_tab", _batch),
)


def _upload(label: str, elem_id: str) -> gr.Image:
    """The file as it is: nothing is lost on the way."""
    return gr.Image(
        label=label,
        elem_id=elem_id,
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        interactive=True,
        buttons=[],
        height=400,
    )


def _editor(label: str, elem_id: str, *, colours: bool) -> gr.ImageEditor:
    """A picture to paint on; without colours the paint is the mask."""
    palette = ["#ffffff", "#000000", "#e53935", "#43a047", "#1e88e5", "#fdd835"] if colours else ["#ffffff"]
    brush = gr.Brush(colors=palette, color_mode="defaults" if colours else "fixed", default_size="auto")
    return gr.ImageEditor(
        label=label,
        elem_id=elem_id,
        type="pil",
        image_mode="RGBA",
        format="png",
        sources=["upload", "clipboard"],
        brush=brush,
        layers=False,
        transforms=(),
        height=480,
        interactive=True,
    )


def inpaint_rows() -> Widgets:
    """What inpainting asks for beside the mask."""
    form: Widgets = {
        "mask_blur": gr.Slider(0, 64, 4, step=1, label="Mask blur", elem_id="img2img_mask_blur"),
        "inpainting_mask_invert": gr.Radio(
            ["Inpaint masked", "Inpaint not masked"],
            value="Inpaint masked",
            type="index",
            label="Mask mode",
            elem_id="img2img_mask_mode",
        ),
        "inpainting_fill": gr.Radio(
            list(FILLS), value="original", type="index", label="Masked content", elem_id="img2img_inpainting_fill"
        ),
    }
    with gr.Row():
        form["inpaint_full_res"] = gr.Radio(
            ["Whole picture", "Only masked"],
            value="Whole picture",
            type="index",
            label="Inpaint area",
            elem_id="img2img_inpaint_full_res",
        )
        form["inpaint_full_res_padding"] = gr.Slider(
            0, 256, 32, step=4, label="Only masked padding, pixels", elem_id="img2img_inpaint_full_res_padding"
        )
    return form


def settings_column(services: Services, catalog: Catalog) -> tuple[Widgets, Widgets]:
    """What is below the picture -> (widgets of the form, tools)."""
    form: Widgets = {
        "resize_mode": gr.Radio(
            list(RESIZE_MODES), value=RESIZE_MODES[0], type="index", label="Resize mode", elem_id="resize_mode"
        )
    }
    form |= rows.sampling(NAME, services, catalog)
    sizes, tools = rows.size_and_batch(NAME, services)
    form |= sizes
    with gr.Row(elem_id="img2img_tabs_resize"):
        tools["detect"] = rows.tool("📐", "img2img_detect_image_size_btn")
        form["resize_by"] = gr.Checkbox(
            False, label="Resize by", elem_id="img2img_tab_resize_by", scale=0, min_width=110, container=False
        )
        form["scale_by"] = gr.Slider(0.05, 4, 1.0, step=0.01, label="Scale", elem_id="img2img_scale", min_width=200)
    with gr.Row():
        form["cfg_scale"] = rows.guidance(NAME, services)
        form["image_cfg_scale"] = gr.Slider(
            0, 3, 1.5, step=0.05, label="Image CFG Scale", elem_id="img2img_image_cfg_scale", visible=seen(False)
        )
    form["denoising_strength"] = gr.Slider(
        0, 1, 0.75, step=0.01, label="Denoising strength", elem_id="img2img_denoising_strength"
    )
    seeds, seed_tools = rows.seed_rows(NAME)
    form |= seeds
    with gr.Column(elem_id="img2img_accordions"):
        form |= passes.refiner(NAME, services)
    form["override_settings"] = rows.overrides(NAME)
    form |= scripts.build(NAME, services)
    return form, tools | seed_tools


def submit_folder(values: Mapping[str, Any], services: Services, script: str | None, arguments: list[Any]) -> Submitted:
    """A job for each of the pictures. Raises BadRequest where there are none."""
    files = tuple(Path(path) for path in values["batch_files"] or ())
    if not files:
        if not values["batch_folder"]:
            raise BadRequest("Choose some pictures, or name the folder that they are in.", field="batch_folder")
        files = folder.pictures(_named(values, "batch_folder", services) or Path())
    asked = folder.Folder(
        files=files,
        masks=_named(values, "batch_masks", services),
        output=(values["batch_output"] or "").strip(),
        scale=fields.number(values, "scale_by") if values["resize_by"] else None,
        reused=tuple(values["batch_reused"] or ()),
        texts=_named(values, "batch_texts", services),
    )
    base = fields.img2img({**values, "init_images": (), "mask": None}, services.options.registry)
    base = dataclasses.replace(base, extension_args=scripts.always_on(values, NAME, services))
    jobs, notes = [], []
    for one in folder.requests(asked, base, services.inputs):
        if one.request is None:
            notes.append(one.remark)
        else:
            jobs.append(services.submit(one.request, script=script, arguments=arguments, owner=OWNER))
    if not jobs and not notes:
        raise BadRequest("There are no pictures in this folder.", field="batch_folder")
    return Submitted(tuple(jobs), tuple(notes))


def _named(values: Mapping[str, Any], field: str, services: Services) -> Path | None:
    """The folder that was typed in. Raises BadRequest where others reach the server and it is not open to them."""
    text = (values[field] or "").strip()
    services.folders.check(text, field=field)
    return services.paths.data / text if text else None


def given(values: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """The picture and the mask of the chosen mode, put into the store of inputs -> fields of the request; with "Resize
    by" also width and height. Raises BadRequest where the picture, or a mask that is needed, is not there.
    """
    mode = values["mode"] or PLAIN
    image, mask = _GIVEN[mode](values)
    found: dict[str, Any] = {"init_images": (services.inputs.add_image(image),)}
    if mask is not None:
        found["mask"] = services.inputs.add_image(mask)
    if values["resize_by"]:
        scale = fields.number(values, "scale_by")
        found |= {"width": max(8, int(image.width * scale)), "height": max(8, int(image.height * scale))}
    return found


def _opened(path: str | None, *, field: str) -> Image.Image:
    if not path:
        raise BadRequest("There is no picture yet: drop one here, or send one from another tab.", field=field)
    return read_picture(Path(path).read_bytes(), field=field)


def _of_plain(values: Mapping[str, Any]) -> tuple[Image.Image, Image.Image | None]:
    return _opened(values["image"], field="image"), None


def _of_sketch(values: Mapping[str, Any]) -> tuple[Image.Image, Image.Image | None]:
    return _there(painting.sketch(values["sketch"])), None


def _of_inpaint(values: Mapping[str, Any]) -> tuple[Image.Image, Image.Image | None]:
    return _there(painting.picture(values["inpaint"])), _painted(painting.mask(values["inpaint"]))


def _of_coloured(values: Mapping[str, Any]) -> tuple[Image.Image, Image.Image | None]:
    editor = values["inpaint_sketch"]
    before, after, mask = _there(painting.picture(editor)), painting.sketch(editor), _painted(painting.mask(editor))
    transparency, blur = fields.number(values, "mask_transparency"), fields.number(values, "mask_blur")
    return painting.coloured(before, _there(after), mask, transparency=transparency, blur=blur)


def _of_upload(values: Mapping[str, Any]) -> tuple[Image.Image, Image.Image | None]:
    return _opened(values["base"], field="base"), _opened(values["mask"], field="mask")


_GIVEN = {PLAIN: _of_plain, SKETCH: _of_sketch, INPAINT: _of_inpaint, COLOURED: _of_coloured, UPLOAD: _of_upload}


def _there(image: Image.Image | None) -> Image.Image:
    if image is None:
        raise BadRequest("There is no picture yet: drop one here, or send one from another tab.", field="image")
    return image


def _painted(mask: Image.Image | None) -> Image.Image:
    if mask is None:
        raise BadRequest("Nothing is painted yet: paint over what is to change.", field="mask")
    return mask
