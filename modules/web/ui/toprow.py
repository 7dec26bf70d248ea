"""The top of a generation tab, alike in both: prompts, Generate and the small tools, styles; and the tabs below it, of
which the first is the form and the others are cards (`cards`). `tab` is "txt2img" or "img2img".
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.web.ui import cards, rows, styles
from modules.web.ui.island import island
from modules.web.ui.rows import Widgets
from modules.web.ui.screen import Buttons, buttons

if TYPE_CHECKING:
    from modules.web.services import Services
    from modules.web.ui.media import Media

PASTE = {"txt2img": "paste", "img2img": "img2img_paste"}
"""Element ids have to differ; A1111 gives both the first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Top:
    """form: the prompts and the styles; tools: counters and small buttons by name; styles: their panel."""

    form: Widgets
    tools: Widgets
    main: Buttons
    styles: styles.Panel


def build(tab: str, services: Services) -> Top:
    """Make the row, inside the tab that the caller has opened."""
    with gr.Row(elem_id=f"{tab}_toprow", elem_classes=["toprow"]):
        texts, tools = rows.prompts(tab)
        with gr.Column(scale=1, min_width=220, elem_id=f"{tab}_actions_column"):
            main = buttons(tab)
            with gr.Row(elem_id=f"{tab}_tools", elem_classes=["tools"]):
                tools["paste"] = rows.tool("↙️", PASTE[tab])
                tools["clear"] = rows.tool("🗑️", f"{tab}_clear_prompt")
                tools["style_apply"] = rows.tool("📋", f"{tab}_style_apply")
                if tab == "img2img":
                    tools["interrogate"] = rows.tool("📎", "interrogate")
                    tools["deepbooru"] = rows.tool("📦", "deepbooru")
                tools["restore"] = rows.tool("🌀", f"{tab}_restore_progress")
            panel = styles.build(tab, services)
            tools["picture"] = gr.File(
                label="Picture with parameters",
                elem_id=f"{tab}_prompt_image",
                file_types=["image"],
                type="filepath",
                visible="hidden",
            )
    return Top(form=texts | {styles.FIELD: panel.menu}, tools=tools, main=main, styles=panel)


@contextlib.contextmanager
def sides(tab: str, services: Services, media: Media) -> Iterator[list[Any]]:
    """The tabs: the caller fills the first with its form, the others are cards -> their islands, there at the end."""
    islands: list[Any] = []
    shelf = cards.Shelf(services=services, media=media, kinds=cards.kinds(services))
    with gr.Tabs(elem_id=f"{tab}_extra_tabs", elem_classes=["extra-networks"]):
        with gr.Tab("Generation", id=f"{tab}_generation", elem_id=f"{tab}_generation"):
            yield islands
        for kind in shelf.kinds:
            with gr.Tab(kind.title, id=f"{tab}_{kind.id}", elem_id=f"{tab}_{kind.id}", elem_classes=["extra-page"]):
                islands.append((kind, island("cards", f"{tab}_{kind.id}_cards_html", shelf.answers())))
