"""The Train tab: embeddings and hypernetworks made, and trained on a folder of pictures. Built by `page`.

A1111's widgets and element ids, less what the training here has no use for; the work is `networks.training_desk`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.core.errors import BadRequest, EaselError
from modules.networks.training_desk import Training
from modules.web.api.training import check_folders
from modules.web.ui import fields, markup, rows
from modules.web.ui.follow import FINAL_STATES, follow
from modules.web.ui.form import QUIET, Updates
from modules.web.ui.rows import Widgets
from modules.web.ui.screen import OWNER

if TYPE_CHECKING:
    from modules.web.services import Services

SIZES = ("768", "1024", "320", "640", "1280")
USUAL_SIZES = ("768", "320", "640", "1280")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tab:
    """embedding, hypernetwork: fields of the two forms that make new files; training: those of the third."""

    services: Services
    embedding: Widgets
    hypernetwork: Widgets
    training: Widgets
    buttons: dict[str, gr.Button]
    result: gr.HTML

    def menus(self) -> Updates:
        """The files that can be trained."""
        fitting, _ = self.services.embeddings()
        networks = [file.name for file in self.services.networks().hypernetworks.all()]
        return {
            self.training["embedding"]: gr.update(choices=[each.name for each in fitting]),
            self.training["hypernetwork"]: gr.update(choices=networks),
        }

    async def create_embedding(self, data: Mapping[Any, Any]) -> Updates:
        """A new embedding's file."""
        told = _values(self.embedding, data)
        vectors = fields.whole(told, "vectors")
        return await self._created(
            lambda: self.services.training.create_embedding(
                told["name"] or "", vectors=vectors, text=told["text"] or "*", overwrite=bool(told["overwrite"])
            )
        )

    async def create_hypernetwork(self, data: Mapping[Any, Any]) -> Updates:
        """A new hypernetwork's file."""
        told = _values(self.hypernetwork, data)
        return await self._created(
            lambda: self.services.training.create_hypernetwork(
                told["name"] or "", [int(size) for size in told["sizes"] or ()], overwrite=bool(told["overwrite"])
            )
        )

    async def _created(self, make: Callable[[], Any]) -> Updates:
        try:
            path = await asyncio.to_thread(make)
            self.services.networks().hypernetworks.refresh()
            menus = await asyncio.to_thread(self.menus)
        except EaselError as error:
            return {self.result: markup.error(str(error))}
        return menus | {self.result: markup.note(f"Created: {path}")}

    def train(self, kind: str) -> Callable[[Mapping[Any, Any]], AsyncIterator[Updates]]:
        """What the button for "embedding" or "hypernetwork" does."""

        async def run(data: Mapping[Any, Any]) -> AsyncIterator[Updates]:
            try:
                request = asked(kind, _values(self.training, data))
                check_folders(self.services, request)
                id = await asyncio.to_thread(lambda: self.services.training.submit(request, owner=OWNER))
                async for progress in follow(self.services.queue, id, watch=False):
                    if progress.state not in FINAL_STATES:
                        yield {self.result: markup.progress_bar(progress, in_title=True)}
                job = await asyncio.to_thread(self.services.queue.get, id)
            except EaselError as error:
                yield {self.result: markup.error(str(error))}
                return
            done = job.state == "done"
            words = f"Trained: {request.name}" if done else job.error or "Cancelled before it began."
            yield {self.result: markup.note(words) if done else markup.error(words)}

        return run

    def interrupt(self) -> Updates:
        """End the training that runs; what is learnt so far is kept."""
        for job in self.services.queue.list(states=("running", "pending"), kinds=("training",)):
            self.services.queue.interrupt(job.id)
        return {self.result: gr.skip()}


def _values(form: Widgets, data: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: data[widget] for name, widget in form.items()}


def asked(kind: str, told: Mapping[str, Any]) -> Training:
    """The form's values as a request. Raises BadRequest."""
    name = told[kind]
    if not name:
        raise BadRequest(f"Choose the {kind} that is to be trained, or create one first.", field=kind)
    try:
        rate = float(told[f"{kind}_rate"])
    except (TypeError, ValueError) as error:
        raise BadRequest(f"Learning rate: {told[f'{kind}_rate']!r} is not a number.", field="rate") from error
    return Training(
        kind=kind,
        name=name,
        pictures=(told["pictures"] or "").strip(),
        steps=fields.whole(told, "steps"),
        rate=rate,
        batch=fields.whole(told, "batch"),
        gather=fields.whole(told, "gather"),
        size=fields.whole(told, "size"),
        shuffle=bool(told["shuffle"]),
        drop=fields.number(told, "drop"),
        every=fields.whole(told, "every"),
    )


def build(services: Services) -> Tab:
    """Make the widgets, inside the tab that the caller has opened."""
    buttons: dict[str, gr.Button] = {}
    with gr.Row(equal_height=False, elem_classes=["generation"]):
        with gr.Column(min_width=320), gr.Tabs(elem_id="train_tabs"):
            with gr.Tab("Create embedding", id="create_embedding"):
                embedding = _new_embedding(buttons)
            with gr.Tab("Create hypernetwork", id="create_hypernetwork"):
                hypernetwork = _new_hypernetwork(buttons)
            with gr.Tab("Train", id="train"):
                training = _training(buttons)
            for further in services.additions.training.all():
                further()
        with gr.Column(min_width=320, elem_id="ti_gallery_container"):
            result = gr.HTML(
                markup.note("A folder with a few pictures of the same thing or style, and a text beside each."),
                elem_id="ti_output",
                elem_classes=["html-log"],
            )
    return Tab(
        services=services,
        embedding=embedding,
        hypernetwork=hypernetwork,
        training=training,
        buttons=buttons,
        result=result,
    )


def _new_embedding(buttons: dict[str, gr.Button]) -> Widgets:
    form: Widgets = {
        "name": gr.Textbox(label="Name", elem_id="train_new_embedding_name"),
        "text": gr.Textbox("*", label="Initialization text", elem_id="train_initialization_text"),
        "vectors": gr.Slider(1, 75, 1, step=1, label="Number of vectors per token", elem_id="train_nvpt"),
        "overwrite": gr.Checkbox(False, label="Overwrite Old Embedding", elem_id="train_overwrite_old_embedding"),
    }
    buttons["embedding"] = gr.Button("Create embedding", elem_id="train_create_embedding", variant="primary")
    return form


def _new_hypernetwork(buttons: dict[str, gr.Button]) -> Widgets:
    form: Widgets = {
        "name": gr.Textbox(label="Name", elem_id="train_new_hypernetwork_name"),
        "sizes": gr.CheckboxGroup(
            list(SIZES), value=list(USUAL_SIZES), label="Modules", elem_id="train_new_hypernetwork_sizes"
        ),
        "overwrite": gr.Checkbox(False, label="Overwrite Old Hypernetwork", elem_id="train_overwrite_old_hypernetwork"),
    }
    buttons["hypernetwork"] = gr.Button("Create hypernetwork", elem_id="train_create_hypernetwork", variant="primary")
    return form


def _training(buttons: dict[str, gr.Button]) -> Widgets:
    form: Widgets = {}
    with gr.Row(elem_classes=["with-tool"]):
        form["embedding"] = gr.Dropdown([], value=None, label="Embedding", elem_id="train_embedding")
        buttons["look"] = rows.tool("🔄", "refresh_train_embedding_name")
        form["hypernetwork"] = gr.Dropdown([], value=None, label="Hypernetwork", elem_id="train_hypernetwork")
        buttons["look_too"] = rows.tool("🔄", "refresh_train_hypernetwork_name")
    with gr.Row():
        form["embedding_rate"] = gr.Textbox(
            "0.005", label="Embedding Learning rate", elem_id="train_embedding_learn_rate"
        )
        form["hypernetwork_rate"] = gr.Textbox(
            "0.00001", label="Hypernetwork Learning rate", elem_id="train_hypernetwork_learn_rate"
        )
    with gr.Row():
        form["batch"] = gr.Number(1, label="Batch size", precision=0, elem_id="train_batch_size")
        form["gather"] = gr.Number(1, label="Gradient accumulation steps", precision=0, elem_id="train_gradient_step")
    form["pictures"] = gr.Textbox(
        label="Dataset directory", placeholder="On the server", elem_id="train_dataset_directory"
    )
    form["size"] = gr.Slider(64, 2048, 512, step=64, label="Width and height", elem_id="train_training_width")
    form["steps"] = gr.Number(1000, label="Max steps", precision=0, elem_id="train_steps")
    form["every"] = gr.Number(
        0,
        label="Save a copy of embedding to log directory every N steps, 0 to disable",
        precision=0,
        elem_id="train_save_embedding_every",
    )
    form["shuffle"] = gr.Checkbox(
        False, label="Shuffle tags by ',' when creating prompts.", elem_id="train_shuffle_tags"
    )
    form["drop"] = gr.Slider(
        0, 1, 0, step=0.1, label="Drop out tags when creating prompts.", elem_id="train_tag_drop_out"
    )
    with gr.Row():
        buttons["train_embedding"] = gr.Button(
            "Train Embedding", elem_id="train_train_embedding", variant="primary", min_width=120
        )
        buttons["interrupt"] = gr.Button("Interrupt", elem_id="train_interrupt_training", min_width=120)
        buttons["train_hypernetwork"] = gr.Button(
            "Train Hypernetwork", elem_id="train_train_hypernetwork", variant="primary", min_width=120
        )
    return form


def wire(tab: Tab) -> None:
    """Connect the widgets with their handlers."""
    menus = [tab.training["embedding"], tab.training["hypernetwork"]]
    created = [*menus, tab.result]
    tab.buttons["embedding"].click(tab.create_embedding, set(tab.embedding.values()), created, **QUIET)
    tab.buttons["hypernetwork"].click(tab.create_hypernetwork, set(tab.hypernetwork.values()), created, **QUIET)
    for name in ("look", "look_too"):
        tab.buttons[name].click(tab.menus, None, menus, **QUIET)
    for kind in ("embedding", "hypernetwork"):
        tab.buttons[f"train_{kind}"].click(tab.train(kind), set(tab.training.values()), [tab.result], **QUIET)
    tab.buttons["interrupt"].click(tab.interrupt, None, [tab.result], **QUIET)
