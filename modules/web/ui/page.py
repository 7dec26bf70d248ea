"""The page put together: quick settings, tabs, footer; and how it is served inside the FastAPI application.

Called by the composition root: `mount(app, services)`. It asks no other host for anything: system fonts, no analytics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from modules.web.ui import extras, generation, img2img, markup, png_info, sends, settings, theme, txt2img

if TYPE_CHECKING:
    from fastapi import FastAPI

    from modules.web.services import Services

DAY = 24 * 60 * 60


def build(services: Services) -> gr.Blocks:
    """The whole page, ready to be mounted."""
    catalog = services.catalog
    with gr.Blocks(
        title="Easel",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(DAY, DAY),  # the gallery's copies; the files under outputs are never touched
    ) as page:
        quick = settings.quick(services)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("txt2img", id="txt2img", elem_id="tab_txt2img"):
                text = txt2img.build(services, catalog)
            with gr.Tab("img2img", id="img2img", elem_id="tab_img2img"):
                image, places = img2img.build(services, catalog)
            with gr.Tab("Extras", id="extras", elem_id="tab_extras"):
                postprocessing = extras.build(services)
            with gr.Tab("PNG Info", id="pnginfo", elem_id="tab_pnginfo"):
                picture = png_info.build()
            with gr.Tab("Settings", id="settings", elem_id="tab_settings"):
                options = settings.build(services, quick)
        gr.HTML(footer(services), elem_id="footer")
        targets = sends.Targets(
            tabs=tabs,
            txt2img=generation.Actions(services=services, catalog=catalog, tab=text),
            img2img=generation.Actions(services=services, catalog=catalog, tab=image),
            places=places,
            extras=postprocessing.image,
        )
        connect(services, page, targets, postprocessing, picture, options)
    page.queue(default_concurrency_limit=None, api_open=False)  # the job queue is the only queue
    return page


def connect(
    services: Services,
    page: gr.Blocks,
    targets: sends.Targets,
    postprocessing: extras.Tab,
    picture: png_info.Tab,
    options: settings.Tab,
) -> None:
    """Connect every tab's widgets with their handlers."""
    notices = [targets.txt2img.tab.notice, targets.img2img.tab.notice]
    settings.wire(settings.Actions(services=services, tab=options, notices=notices), page)
    for actions in (targets.txt2img, targets.img2img):
        generation.wire(actions, page)
        sends.wire(actions.tab.screen, targets)
    extras.wire(postprocessing, page)
    sends.wire(postprocessing.screen, targets)
    png_info.wire(picture, targets)


def footer(services: Services) -> str:
    """Version, and the way to the API's documentation where there is an API."""
    return markup.footer(services.version, api=services.flags.api, docs_url=root_path(services) + "/docs")


def root_path(services: Services) -> str:
    """ "/easel" for --subpath easel, "" without one: where a proxy in front of this server shows it."""
    subpath = (services.flags.subpath or "").strip("/")
    return f"/{subpath}" if subpath else ""


def mount(app: FastAPI, services: Services) -> FastAPI:
    """Serve the page at "/" of an application whose other routes are registered already -> the application."""
    return gr.mount_gradio_app(
        app,
        build(services),
        path="/",
        auth=credentials(services),
        root_path=root_path(services) or None,
        allowed_paths=[str(folder) for folder in services.allowed_folders],
        footer_links=[],
        run_history=False,
        mcp_server=False,
        ssr_mode=False,
        enable_monitoring=False,
        theme=theme.named(services.options.snapshot()["gradio_theme"]),
        css=theme.style(),
        head=theme.head(services.flags.theme),
    )


def credentials(services: Services) -> list[tuple[str, str]] | None:
    """Who may log in: (name, password) of --gradio-auth and --gradio-auth-path; None where the page is open."""
    return list(services.flags.page_users) or None
