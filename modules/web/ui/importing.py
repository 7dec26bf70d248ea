"""Settings: coming from A1111. A folder is looked at, what it holds is shown, and what is ticked comes over."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from modules.core.errors import EaselError
from modules.core.store import write_atomically
from modules.prompts.styles import StyleBook
from modules.settings import a1111
from modules.web.ui import defaults, importing_extensions, markup
from modules.web.ui.form import QUIET, Updates

if TYPE_CHECKING:
    from modules.web.services import Services

MODELS, OPTIONS, FORMS, STYLES = "Models (used where they are)", "Settings", "Defaults of the forms", "Styles"
PARTS = (MODELS, OPTIONS, FORMS, STYLES)
SECTION = "settings_tab_import"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wizard:
    """The section's widgets; the ticks and the button are there once a folder has been looked at."""

    folder: gr.Textbox
    look: gr.Button
    parts: gr.CheckboxGroup
    bring: gr.Button
    shown: gr.HTML


def build(services: Services) -> Wizard:
    """Make the section, where the caller is."""
    with gr.Column(elem_id=SECTION, elem_classes=["easel-section"]):
        gr.HTML("<h3>Import from A1111</h3>")
        gr.HTML(markup.note("Nothing in that folder is changed. Models are used where they are."))
        folder = gr.Textbox(
            label="Folder of A1111", placeholder="/home/me/stable-diffusion-webui", elem_id="import_folder"
        )
        look = gr.Button("Look at it", elem_id="import_look")
        parts = gr.CheckboxGroup(
            list(PARTS), value=list(PARTS), label="What comes over", visible=False, elem_id="import_parts"
        )
        bring = gr.Button("Import", elem_id="import_bring", variant="primary", visible=False)
        shown = gr.HTML(elem_id="import_shown")
        importing_extensions.build(services)
    return Wizard(folder=folder, look=look, parts=parts, bring=bring, shown=shown)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Actions:
    """What the buttons do."""

    services: Services
    wizard: Wizard

    async def look(self, folder: str) -> Updates:
        """Show what the folder holds."""
        wizard = self.wizard
        try:
            found = await asyncio.to_thread(self._found, folder)
        except EaselError as error:
            hidden = {wizard.parts: gr.update(visible=False), wizard.bring: gr.update(visible=False)}
            return hidden | {wizard.shown: markup.error(str(error))}
        there = {wizard.parts: gr.update(visible=True), wizard.bring: gr.update(visible=True)}
        return there | {wizard.shown: told(found)}

    async def bring(self, folder: str, parts: list[str]) -> Updates:
        """Take over what is ticked."""
        try:
            words = await asyncio.to_thread(lambda: brought(self._found(folder), parts, self.services))
        except EaselError as error:
            return {self.wizard.shown: markup.error(str(error))}
        return {self.wizard.shown: "".join(map(markup.note, words))}

    def _found(self, folder: str) -> a1111.Found:
        return importing_extensions.look(folder or "", self.services)


def told(found: a1111.Found) -> str:
    """What a folder holds, in words."""
    lines = [f"{kind.split('/')[-1]}: {path}" for kind, path in found.folders.items()]
    lines.append(f"{len(found.config)} settings, {len(found.ui_config)} defaults of forms")
    lines += [f"Styles: {found.styles}"] if found.styles else []
    return "".join(map(markup.note, lines))


def brought(found: a1111.Found, parts: list[str], services: Services) -> list[str]:
    """Take over some parts -> what happened. Raises StoreError, BadRequest, DamagedFile."""
    words = []
    if MODELS in parts and found.folders:
        a1111.keep_folders(services.paths.data / a1111.FILE, found.folders)
        words.append(f"{len(found.folders)} folders of models are searched from the next start on.")
    if OPTIONS in parts:
        taken, remarks = a1111.usable(found.config, services.options)
        if taken:
            services.options.set(taken)
        words += [f"{len(taken)} settings changed.", *remarks]
    if FORMS in parts:
        fitting = {
            key: value for key, value in found.ui_config.items() if key.rsplit("/", 1)[-1] in defaults.ATTRIBUTES
        }
        kept = fitting | defaults.read(services.paths.ui_config)
        write_atomically(services.paths.ui_config, json.dumps(kept, indent=4, ensure_ascii=False).encode())
        words.append(f"{len(fitting)} defaults of forms; they count from the next start on.")
    if STYLES in parts and found.styles:
        words.append(_styles(found.styles, services))
    if found.extensions:
        words.append("Its extensions are below, each with its buttons.")
    return words


def _styles(file: Path, services: Services) -> str:
    known, count = services.styles.read(), 0
    for name, style in StyleBook([file]).read().items():
        if name not in known:
            services.styles.save(style)
            count += 1
    return f"{count} styles are new."


def wire(wizard: Wizard, services: Services) -> None:
    """Connect the buttons."""
    actions = Actions(services=services, wizard=wizard)
    outputs = [wizard.parts, wizard.bring, wizard.shown]
    looked = wizard.look.click(actions.look, [wizard.folder], outputs, **QUIET)
    looked.then(None, None, None, js="() => window.easelLookForExtensions()", api_visibility="private")
    wizard.bring.click(actions.bring, [wizard.folder, wizard.parts], [wizard.shown], **QUIET)
