"""Prompt styles on the page: the menu beside the tools, and the panel in which styles are made, changed and deleted.

Built by the generation tabs; element ids are A1111's. The styles themselves are `prompts.styles`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.core.errors import DamagedFile, EaselError
from modules.prompts.styles import Style
from modules.web.ui import markup, rows
from modules.web.ui.form import QUIET, Updates, seen

if TYPE_CHECKING:
    from modules.web.services import Services

FIELD = "styles"
SURE = "(name) => window.confirm(easelWords('Delete this style?')) ? name : ''"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """menu: the styles of the form; the rest is the panel that the brush opens."""

    menu: gr.Dropdown
    open: gr.Button
    dialog: gr.Group
    select: gr.Dropdown
    refresh: gr.Button
    apply: gr.Button
    copy: gr.Button
    prompt: gr.Textbox
    negative: gr.Textbox
    save: gr.Button
    delete: gr.Button
    close: gr.Button
    result: gr.HTML


def names(services: Services) -> list[str]:
    """The styles there are; none where the file cannot be read (the job that asks for one says so)."""
    try:
        return list(services.styles.read())
    except DamagedFile:
        return []


def build(tab: str, services: Services) -> Panel:
    """Make the widgets, where the caller is."""
    known = names(services)
    with gr.Row(elem_id=f"{tab}_styles_row", elem_classes=["with-tool"]):
        menu = gr.Dropdown(
            known, value=[], multiselect=True, show_label=False, label="Styles", elem_id=f"{tab}_styles", min_width=120
        )
        opener = rows.tool("🖌️", f"{tab}_styles_edit_button")
    with gr.Group(visible=seen(False), elem_id=f"{tab}_styles_dialog", elem_classes=["easel-panel-over"]) as dialog:
        with gr.Row(elem_classes=["with-tool"]):
            select = gr.Dropdown(
                known,
                value=None,
                allow_custom_value=True,
                label="Styles",
                info="Choose one to change it, or write a new name. {prompt} in its text stands for the prompt.",
                elem_id=f"{tab}_styles_edit_select",
            )
            refresh = rows.tool("🔄", f"refresh_{tab}_styles")
            apply = rows.tool("📋", f"{tab}_style_apply_dialog")
            copy = rows.tool("📝", f"{tab}_style_copy")
        prompt = gr.Textbox(label="Prompt", lines=3, elem_id=f"{tab}_edit_style_prompt")
        negative = gr.Textbox(label="Negative prompt", lines=3, elem_id=f"{tab}_edit_style_neg_prompt")
        with gr.Row():
            save = gr.Button("Save", elem_id=f"{tab}_edit_style_save", variant="primary", min_width=80)
            delete = gr.Button("Delete", elem_id=f"{tab}_edit_style_delete", min_width=80)
            close = gr.Button("Close", elem_id=f"{tab}_edit_style_close", min_width=80)
        result = gr.HTML(elem_id=f"{tab}_edit_style_result", elem_classes=["html-log"])
    return Panel(
        menu=menu,
        open=opener,
        dialog=dialog,
        select=select,
        refresh=refresh,
        apply=apply,
        copy=copy,
        prompt=prompt,
        negative=negative,
        save=save,
        delete=delete,
        close=close,
        result=result,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Actions:
    """What the widgets do. prompt, negative: those of the form."""

    services: Services
    panel: Panel
    prompt: Any
    negative: Any

    def menus(self) -> Updates:
        """Both menus as the files are now."""
        known = names(self.services)
        return {self.panel.menu: gr.update(choices=known), self.panel.select: gr.update(choices=known)}

    def chosen(self, name: str | None) -> Updates:
        """Show a style's texts; a new name leaves what is written."""
        try:
            style = self.services.styles.read().get(name or "")
        except EaselError as error:
            return {self.panel.result: markup.error(str(error))}
        if style is None:
            return {self.panel.result: ""}
        return {self.panel.prompt: style.prompt, self.panel.negative: style.negative_prompt, self.panel.result: ""}

    async def save(self, name: str | None, prompt: str, negative: str) -> Updates:
        """Keep what is written under this name."""
        name = (name or "").strip()
        return await self._changed(lambda: self.services.styles.save(Style(name, prompt, negative)), f"Saved: {name}")

    async def delete(self, name: str | None) -> Updates:
        """Forget the style; "" is a change of mind."""
        if not name:
            return {self.panel.result: ""}
        return await self._changed(lambda: self.services.styles.delete(name), f"Deleted: {name}")

    async def _changed(self, change: Any, words: str) -> Updates:
        try:
            await asyncio.to_thread(change)
        except EaselError as error:
            return {self.panel.result: markup.error(str(error))}
        return self.menus() | {self.panel.result: markup.note(words)}

    def apply(self, chosen: list[str], prompt: str, negative: str) -> Updates:
        """Write the chosen styles into the prompts and empty the menu."""
        try:
            prompt, negative, _ = self.services.styles.apply(chosen or [], prompt or "", negative or "")
        except EaselError as error:
            return {self.panel.result: markup.error(str(error))}
        return {self.prompt: prompt, self.negative: negative, self.panel.menu: []}

    def apply_one(self, name: str | None, prompt: str, negative: str) -> Updates:
        """Write the style of the panel into the prompts."""
        return self.apply([name] if name else [], prompt, negative)

    def copied(self, prompt: str, negative: str) -> Updates:
        """The form's prompts as the style's texts."""
        return {self.panel.prompt: prompt, self.panel.negative: negative}


def wire(actions: Actions, apply: gr.Button, page: gr.Blocks) -> None:
    """Connect the widgets; `apply` is the button among the tools."""
    panel, both = actions.panel, [actions.prompt, actions.negative]
    texts = [panel.prompt, panel.negative]
    changed = [panel.menu, panel.select, panel.result]
    written = [*both, panel.menu, panel.result]
    panel.open.click(lambda: gr.update(visible=True), None, [panel.dialog], **QUIET)
    panel.close.click(lambda: gr.update(visible=seen(False)), None, [panel.dialog], **QUIET)
    panel.select.change(actions.chosen, [panel.select], [*texts, panel.result], **QUIET)
    panel.refresh.click(actions.menus, None, [panel.menu, panel.select], **QUIET)
    panel.copy.click(actions.copied, both, texts, **QUIET)
    panel.save.click(actions.save, [panel.select, *texts], changed, **QUIET)
    panel.delete.click(actions.delete, [panel.select], changed, js=SURE, **QUIET)
    panel.apply.click(actions.apply_one, [panel.select, *both], written, **QUIET)
    apply.click(actions.apply, [panel.menu, *both], written, **QUIET)
    page.load(actions.menus, None, [panel.menu, panel.select], **QUIET)
