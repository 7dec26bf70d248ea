"""The txt2img tab: its form, and the request that it makes. Built by `page`; what the buttons do is in `generation`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.web.ui import defaults, fields, passes, rows, scripts, toprow
from modules.web.ui.form import Form
from modules.web.ui.generation import Submitted, Tab, Tools, make_screen
from modules.web.ui.rows import Widgets
from modules.web.ui.screen import OWNER, panel

if TYPE_CHECKING:
    from modules.generate.scripts.registry import Tab as Name
    from modules.samplers.catalog import Catalog
    from modules.web.services import Services
    from modules.web.ui.media import Media

NAME: Name = "txt2img"


def build(services: Services, catalog: Catalog, media: Media) -> Tab:
    """Make the widgets, inside the tab that the caller has opened."""
    notice = gr.HTML(elem_id="txt2img_no_checkpoint", visible=False)
    top = toprow.build(NAME, services)
    with toprow.sides(NAME, services, media) as islands, gr.Row(elem_classes=["generation"]):
        with gr.Column(elem_id="txt2img_settings", min_width=320):
            settings, tools = settings_column(services, catalog)
        with gr.Column(elem_id="txt2img_results", min_width=320):
            shown = panel(NAME)
    form = Form(top.form | settings)
    defaults.apply(services.paths.ui_config, NAME, form)

    def submit(values: Mapping[str, Any]) -> Submitted:
        script, arguments = scripts.read(values, NAME, services)
        request = dataclasses.replace(
            fields.txt2img(values, services.options.registry),
            extension_args=scripts.always_on(values, NAME, services),
        )
        return Submitted((services.submit(request, script=script, arguments=arguments, owner=OWNER),))

    return Tab(
        notice=notice,
        form=form,
        tools=Tools(**top.tools, **tools),
        screen=make_screen(services, NAME, top.main, shown),
        submit=submit,
        styles=top.styles,
        islands=tuple(islands),
    )


def settings_column(services: Services, catalog: Catalog) -> tuple[Widgets, Widgets]:
    """The column on the left -> (widgets of the form, tools)."""
    form = rows.sampling(NAME, services, catalog)
    sizes, tools = rows.size_and_batch(NAME, services)
    form |= sizes
    form["cfg_scale"] = rows.guidance(NAME, services)
    seeds, seed_tools = rows.seed_rows(NAME)
    form |= seeds
    with gr.Column(elem_id="txt2img_accordions"):
        form |= passes.hires(services, catalog)
        form |= passes.refiner(NAME, services)
    form["override_settings"] = rows.overrides(NAME)
    form |= scripts.build(NAME, services)
    return form, tools | seed_tools
