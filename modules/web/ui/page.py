"""The page put together: quick settings, tabs, footer; and how it is served inside the FastAPI application.

Called by the composition root: `mount(app, services)`. It asks no other host for anything: system fonts, no analytics.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
from fastapi import Request

from modules.web.additions import PAGE_SCRIPT, PageTab
from modules.web.security import page_fetching, page_files
from modules.web.ui import (
    defaults_view,
    extensions,
    extras,
    generation,
    history,
    img2img,
    img2img_tools,
    importing,
    markup,
    merger,
    png_info,
    queue,
    script,
    sends,
    settings,
    theme,
    train,
    txt2img,
)
from modules.web.ui.media import Media

if TYPE_CHECKING:
    from fastapi import FastAPI

    from modules.web.services import Services

log = logging.getLogger(__name__)

DAY = 24 * 60 * 60
CACHE = "thumbnails"


@dataclasses.dataclass(kw_only=True)
class Parts:
    """What the tabs' builders gave, by the tabs' ids."""

    services: Services
    media: Media
    quick: settings.Quick
    made: dict[str, Any] = dataclasses.field(default_factory=dict)


def _txt2img(parts: Parts) -> Any:
    return txt2img.build(parts.services, parts.services.catalog, parts.media)


def _img2img(parts: Parts) -> Any:
    return img2img.build(parts.services, parts.services.catalog, parts.media)


TABS: Mapping[str, tuple[str, Callable[[Parts], Any]]] = {
    "txt2img": ("txt2img", _txt2img),
    "img2img": ("img2img", _img2img),
    "extras": ("Extras", lambda parts: extras.build(parts.services)),
    "pnginfo": ("PNG Info", lambda parts: png_info.build()),
    "history": ("History", lambda parts: history.build(history.Album(services=parts.services, media=parts.media))),
    "queue": ("Queue", lambda parts: queue.build(parts.services, parts.media)),
    "modelmerger": ("Checkpoint Merger", lambda parts: merger.build(parts.services)),
    "train": ("Train", lambda parts: train.build(parts.services)),
    "settings": ("Settings", lambda parts: settings.build(parts.services, parts.quick)),
    "extensions": ("Extensions", lambda parts: extensions.build(parts.services)),
}
"""Id -> (title, builder), in the usual order; the element ids are "tab_" and the id."""


def build(services: Services) -> gr.Blocks:
    """The whole page, ready to be mounted."""
    with gr.Blocks(
        title="Easel",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(DAY, DAY),  # the gallery's copies; the files under outputs are never touched
    ) as page:
        parts = Parts(services=services, media=media_of(services), quick=settings.quick(services))
        options = services.options.snapshot()
        with gr.Tabs(elem_id="tabs") as tabs:
            for id in in_order(options["ui_tab_order"]):
                title, make = TABS[id]
                shown = title not in options["hidden_tabs"] or id == "settings"
                with gr.Tab(title, id=id, elem_id=f"tab_{id}", visible=shown):
                    parts.made[id] = make(parts)
            late = (each for ask in services.additions.late_tabs.all() for each in ask())
            for each in (*services.additions.tabs.all(), *late):
                extension_tab(each, shown=each.title not in options["hidden_tabs"])
        foot = gr.HTML(footer(services), elem_id="footer")
        script.build(services)
        connect(parts, tabs, page)
    quietly(page, foot)
    keep_insides(page)
    page.queue(default_concurrency_limit=None, api_open=False)  # the job queue is the only queue
    return page


def quietly(page: gr.Blocks, foot: gr.HTML) -> None:
    """Let the state of events that show no progress be told to one widget, not to every output: for each of those the
    browser walks through the whole page at every change of state (measured: 23 of the 33 seconds of opening it).
    """
    for event in page.fns.values():
        if event.show_progress == "hidden":
            event.show_progress_on = [foot]


def keep_insides(page: gr.Blocks) -> None:
    """Let what is in a closed accordion be in the page, where scripts of extensions look for it: Gradio leaves it out
    if `open` is exactly False, and shows one with 0 as closed all the same. What is in tabs, assets/script.js has made.
    """
    for block in page.blocks.values():
        if isinstance(block, gr.Accordion) and block.open is False:
            block.open = 0


def extension_tab(tab: PageTab, *, shown: bool) -> None:
    """A tab of an extension; where its builder fails the tab says so and the page is there all the same."""
    with gr.Tab(tab.title, id=tab.id, elem_id=f"tab_{tab.id}", visible=shown):
        try:
            tab.build()
        except Exception as error:
            log.exception("%s: its tab %s cannot be built.", tab.owner, tab.title)
            gr.HTML(markup.error(f"{tab.owner}: this tab cannot be built. {type(error).__name__}: {error}"))


def in_order(titles: Sequence[str]) -> list[str]:
    """The tabs' ids: those named first, the others behind them."""
    named = [id for title in titles for id, (known, _) in TABS.items() if known == title]
    return [*dict.fromkeys([*named, *TABS])]


def media_of(services: Services) -> Media:
    """Small copies of pictures lie in the cache; what lies in the served folders has an address."""
    cache = services.paths.data / "cache" / CACHE
    return Media(cache=cache, served=services.allowed_folders, root=root_path(services))


def connect(parts: Parts, tabs: gr.Tabs, page: gr.Blocks) -> None:
    """Connect every tab's widgets with their handlers."""
    services, made = parts.services, parts.made
    image, places = made["img2img"]
    targets = sends.Targets(
        tabs=tabs,
        txt2img=generation.Actions(services=services, catalog=services.catalog, tab=made["txt2img"]),
        img2img=generation.Actions(services=services, catalog=services.catalog, tab=image),
        places=places,
        extras=made["extras"].image,
        png_info=made["pnginfo"].image,
    )
    notices = [made["txt2img"].notice, image.notice]
    settings.wire(settings.Actions(services=services, tab=made["settings"], notices=notices), page)
    forms = {"txt2img": made["txt2img"].form.widgets, "img2img": image.form.widgets}
    defaults_view.wire(made["settings"].defaults, defaults_view.Actions(path=services.paths.ui_config, forms=forms))
    for actions in (targets.txt2img, targets.img2img):
        generation.wire(actions, page)
        sends.wire(actions.tab.screen, targets)
        sends.wire_cards(actions.tab, parts.media)
    img2img_tools.wire(image, places, services)
    extras.wire(made["extras"], page)
    sends.wire(made["extras"].screen, targets)
    png_info.wire(made["pnginfo"], targets)
    sends.wire_history(made["history"], history.Album(services=services, media=parts.media), targets)
    merger.wire(made["modelmerger"], page)
    train.wire(made["train"])
    importing.wire(made["settings"].wizard, services)


def footer(services: Services) -> str:
    """Version, hotkeys, light and dark, and the way to the API's documentation where there is an API."""
    return markup.footer(services.version, api=services.flags.api, docs_url=root_path(services) + "/docs")


def root_path(services: Services) -> str:
    """ "/easel" for --subpath easel, "" without one: where a proxy in front of this server shows it."""
    subpath = (services.flags.subpath or "").strip("/")
    return f"/{subpath}" if subpath else ""


def mount(app: FastAPI, services: Services) -> FastAPI:
    """Serve the page at "/" of an application whose other routes are registered already -> the application."""
    brought = services.additions.folders.all()
    served = (*services.allowed_folders, media_of(services).cache, *brought)
    page_fetching.guard(lambda: services.fetching)
    page_files.guard(lambda: served)
    return gr.mount_gradio_app(
        app,
        build(services),
        path="/",
        auth_dependency=user if services.flags.page_users else None,
        root_path=root_path(services) or None,
        allowed_paths=[str(folder) for folder in served],
        blocked_paths=[str(folder / ".git") for folder in brought],  # an address there may hold a password
        footer_links=[],
        run_history=False,
        mcp_server=False,
        ssr_mode=False,
        enable_monitoring=False,
        theme=theme.named(services.options.snapshot()["gradio_theme"]),
        css=theme.style(),
        head=theme.head(services.flags.theme) + f'<script src="{root_path(services)}{PAGE_SCRIPT}"></script>',
    )


def user(request: Request) -> str | None:
    """Who it is, for Gradio; None, which it refuses, where no gate (`web.security`) has let somebody in."""
    name: str | None = getattr(request.state, "user", None)
    return name or None
