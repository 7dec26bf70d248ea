"""The part of a generation tab that shows a job: its buttons, progress bar, live preview, gallery and texts.

Built by a tab (`buttons`, then `panel`, joined in a `Screen`), which starts a job and streams `Screen.show`.
Nothing here ends a job except the Interrupt and Skip buttons: a browser that goes away only stops looking.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.core.errors import EaselError
from modules.web.ui import gallery, markup
from modules.web.ui.follow import FINAL_STATES, follow, newest
from modules.web.ui.form import QUIET, Updates
from modules.web.ui.gallery import Toolbar, toolbar
from modules.web.ui.results import Result

if TYPE_CHECKING:
    from modules.jobs.progress import Progress
    from modules.jobs.queue import Job
    from modules.web.services import Services

OWNER = "ui"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Buttons:
    """Generate, or Interrupt and Skip while a job is followed."""

    interrupt: gr.Button
    skip: gr.Button
    generate: gr.Button

    def idle(self) -> Updates:
        """As they stand while nothing runs."""
        return {
            self.generate: gr.update(visible=True),
            self.interrupt: gr.update(visible="hidden", value="Interrupt", interactive=True),
            self.skip: gr.update(visible="hidden"),
        }

    def running(self) -> Updates:
        """As they stand while a job is followed."""
        return {
            self.generate: gr.update(visible="hidden"),
            self.interrupt: gr.update(visible=True, value="Interrupt", interactive=True),
            self.skip: gr.update(visible=True),
        }


def buttons(tab: str) -> Buttons:
    """The three buttons of a tab, as A1111 names them."""
    with gr.Row(elem_id=f"{tab}_generate_box", elem_classes=["generate-box"]):
        return Buttons(
            interrupt=gr.Button("Interrupt", elem_id=f"{tab}_interrupt", visible="hidden", variant="stop"),
            skip=gr.Button("Skip", elem_id=f"{tab}_skip", visible="hidden"),
            generate=gr.Button("Generate", elem_id=f"{tab}_generate", variant="primary"),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """Where the pictures and the words appear. generation: A1111's object `info` as JSON, for scripts."""

    progress: gr.HTML
    preview: gr.HTML
    gallery: gr.Gallery
    info: gr.HTML
    log: gr.HTML
    generation: gr.Textbox


def panel(tab: str) -> tuple[Panel, Toolbar]:
    """The column on the right of a generation tab, and the buttons in it."""
    with gr.Column(elem_id=f"{tab}_results_panel"):
        progress = gr.HTML(elem_id=f"{tab}_progress", elem_classes=["progress-holder"])
        with gr.Group(elem_id=f"{tab}_gallery_container", elem_classes=["gallery-container"]):
            pictures = gr.Gallery(
                label="Output",
                show_label=False,
                elem_id=f"{tab}_gallery",
                columns=4,
                preview=True,
                object_fit="contain",
                interactive=False,
                buttons=["download", "fullscreen"],
            )
            preview = gr.HTML(elem_id=f"{tab}_live_preview", elem_classes=["preview-holder"])
        bar = toolbar(tab)
        info = gr.HTML(elem_id=f"html_info_{tab}", elem_classes=["infotext-holder"])
        words = gr.HTML(elem_id=f"html_log_{tab}", elem_classes=["html-log"])
        told = gr.Textbox(elem_id=f"generation_info_{tab}", visible="hidden")
    shown = Panel(progress=progress, preview=preview, gallery=pictures, info=info, log=words, generation=told)
    return shown, bar


@dataclasses.dataclass(frozen=True, kw_only=True)
class Screen:
    """Everything that shows a job of one kind. The states live in the browser's session: job id, `Result`, picture."""

    services: Services
    kind: str
    buttons: Buttons
    panel: Panel
    bar: Toolbar
    job: gr.State
    result: gr.State
    selected: gr.State

    @property
    def outputs(self) -> list[Any]:
        """All that `show` and `reopen` may write."""
        shown = [getattr(part, field.name) for part in (self.buttons, self.panel) for field in dataclasses.fields(part)]
        return [*shown, self.job, self.result, self.selected]

    async def show(self, job_id: str) -> AsyncIterator[Updates]:
        """Follow a job to its end -> updates for the browser. A job that is gone is said in the log."""
        options = self.services.options.snapshot()
        yield self.buttons.running() | {self.job: job_id, self.panel.log: ""}
        looking = bool(options["live_previews_enable"])
        painter = Painter(panel=self.panel, buttons=self.buttons, options=options)
        try:
            async for progress in follow(self.services.queue, job_id, watch=looking):
                if progress.state not in FINAL_STATES:
                    yield await painter.moment(progress)
            job = await asyncio.to_thread(self.services.queue.get, job_id)
        except EaselError as error:
            yield self.rest() | {self.panel.log: markup.error(str(error))}
            return
        yield self.rest() | await asyncio.to_thread(self.outcome, job)

    async def reopen(self) -> AsyncIterator[Updates]:
        """For a page just opened: follow the job under way, or show what the last one made."""
        job = await asyncio.to_thread(newest, self.services.queue, kind=self.kind, owner=OWNER)
        if job is None:
            yield {self.panel.progress: "", self.panel.preview: ""}
        elif job.state in FINAL_STATES:
            yield self.rest() | await asyncio.to_thread(self.outcome, job)
        else:
            async for updates in self.show(job.id):
                yield updates

    def rest(self) -> Updates:
        """No bar, no preview, Generate back."""
        return self.buttons.idle() | {self.panel.progress: "", self.panel.preview: ""}

    def outcome(self, job: Job) -> Updates:
        """What a job that ended leaves on the screen: pictures and texts, or the reason why there are none."""
        if job.state == "failed":
            return {self.panel.log: markup.error(job.error or "The job failed without a message.")}
        if job.state == "cancelled":
            return {self.panel.log: markup.note("Cancelled before it began.")}
        result = Result.of(job.result)
        hidden = bool(self.services.options.snapshot()["do_not_show_images"])
        comments = [*result.comments, *filter(None, [markup.missing(result.missing)])]
        seconds = job.finished - job.started if job.finished and job.started else None
        pictures = [] if hidden else [str(path) for path in result.paths]
        return {
            self.result: result,
            self.selected: 0,
            self.panel.gallery: gr.update(value=pictures, selected_index=0 if pictures else None),
            self.panel.info: markup.infotext(result.infotext(0)),
            self.panel.generation: json.dumps((job.result or {}).get("info") or {}),
            self.panel.log: markup.log(comments, seconds, markup.memory_words(self.services.memory())),
        }

    def summary(self, jobs: Sequence[str], notes: Sequence[str]) -> Updates:
        """The pictures of several jobs together, as many as the options want to see, and what is to be said.

        The buttons come along: two answers in a row may reach the page as one, and the last one counts.
        """
        options = self.services.options.snapshot()
        whole, words = Result(), [markup.note(note) for note in notes]
        for id in jobs:
            job = self.services.queue.get(id)
            whole = whole.joined(Result.of(job.result))
            if job.state == "failed":
                words.append(markup.error(job.error or "A job failed without a message."))
        shown = Result() if options["do_not_show_images"] else whole.first(options["img2img_batch_show_results_limit"])
        return self.rest() | {
            self.result: shown,
            self.selected: 0,
            self.panel.gallery: gr.update(value=[str(path) for path in shown.paths], selected_index=None),
            self.panel.info: markup.infotext(shown.infotext(0)),
            self.panel.log: "".join([*words, markup.note(f"{len(jobs)} jobs, {len(whole.paths)} pictures.")]),
        }

    def select(self, result: Result | None, event: gr.SelectData) -> Updates:
        """A picture was picked in the gallery: show its text, and remember it for the seed buttons."""
        index = event.index if isinstance(event.index, int) else 0
        return {self.selected: index, self.panel.info: markup.infotext(result.infotext(index) if result else "")}

    def interrupt(self, job_id: str | None) -> Updates:
        """Ask the followed job to stop; it still decodes what is there."""
        return self._ask(self.services.queue.interrupt, job_id)

    def skip(self, job_id: str | None) -> Updates:
        """Ask the followed job to go on with its next batch."""
        return self._ask(self.services.queue.skip, job_id)

    def _ask(self, act: Any, job_id: str | None) -> Updates:
        if job_id is None:
            return {self.panel.log: markup.note("Nothing is running.")}
        try:
            act(job_id)
        except EaselError as error:
            return {self.panel.log: markup.error(str(error))}
        return {self.panel.log: gr.skip()}

    def wire(self) -> None:
        """Connect the buttons and the gallery that work alike in every tab."""
        self.buttons.interrupt.click(self.interrupt, [self.job], [self.panel.log], **QUIET)
        self.buttons.skip.click(self.skip, [self.job], [self.panel.log], **QUIET)
        gallery.wire(
            self.bar,
            gallery.Handlers(services=self.services),
            result=self.result,
            selected=self.selected,
            words=self.panel.log,
        )
        self.panel.gallery.select(self.select, [self.result], [self.selected, self.panel.info], **QUIET)


@dataclasses.dataclass(kw_only=True)
class Painter:
    """Turns progress records into updates, sending a preview picture only when it is a new one."""

    panel: Panel
    buttons: Buttons
    options: Mapping[str, Any]
    clock: Callable[[], float] = time.monotonic
    preview_id: int | None = None
    preview_at: float = float("-inf")

    async def moment(self, progress: Progress) -> Updates:
        """The bar, the preview when it changed, and the buttons.

        The buttons come with every moment: a page that was still building up may have missed the first one.
        """
        bar = markup.progress_bar(progress, in_title=bool(self.options["show_progress_in_title"]))
        updates: Updates = self.buttons.running() | {self.panel.progress: bar}
        preview = progress.preview if self.options["live_previews_enable"] else None
        if preview is not None and preview.id != self.preview_id and self.due():
            self.preview_id = preview.id
            form = str(self.options["live_previews_image_format"])
            updates[self.panel.preview] = await asyncio.to_thread(markup.live_preview, preview.image, form)
        if progress.interrupted:
            updates[self.buttons.interrupt] = gr.update(value="Interrupting...", interactive=False, visible=True)
        return updates

    def due(self) -> bool:
        """Whether option live_preview_refresh_period (ms) has passed since the last preview; starts it anew if so."""
        now = self.clock()
        if now - self.preview_at < self.options["live_preview_refresh_period"] / 1000:
            return False
        self.preview_at = now
        return True
