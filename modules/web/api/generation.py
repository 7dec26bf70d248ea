"""/sdapi/v1/txt2img and /img2img: submit, wait without holding a thread, answer with the pictures of the job."""

from __future__ import annotations

import asyncio
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from modules.core.errors import BadRequest, DamagedFile
from modules.web.api import errors, hangup, img2img, pictures, schemas, scripts, txt2img

if TYPE_CHECKING:
    from modules.generate.scripts.registry import Tab
    from modules.jobs.queue import Job
    from modules.web.services import Services

THREADS = 8  # for checking, queueing and reading pictures: apart from the server's own, which stay free for progress


def routes(services: Services) -> APIRouter:
    """Making pictures. A waiting client costs no thread."""
    router = APIRouter()
    workers = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="easel-api")

    @router.post("/txt2img", response_model=schemas.TextToImageResponse)
    async def text2imgapi(body: schemas.StableDiffusionProcessingTxt2Img, request: Request) -> Response:
        """Make pictures from text; answers when they are there.

        `infotext` fills in fields that are not given; `override_settings` hold for this request alone;
        `force_task_id` becomes the job's id. `sampler_index` is the old name of `sampler_name`. Where there is
        something to say of the work, such as networks that were left out, the answer also has `comments`, a list.
        """
        loop = asyncio.get_running_loop()
        asked, id = await loop.run_in_executor(workers, submit_txt2img, services, body, request.state.user)
        job = await hangup.finished(services.queue, id, request)
        return await loop.run_in_executor(workers, _answer, job, asked)

    @router.post("/img2img", response_model=schemas.ImageToImageResponse)
    async def img2imgapi(body: schemas.StableDiffusionProcessingImg2Img, request: Request) -> Response:
        """Make pictures from pictures; answers when they are there.

        Without `mask_blur`, `mask_blur_x` and `mask_blur_y` hold. The rest is as for /txt2img.
        """
        loop = asyncio.get_running_loop()
        asked, id = await loop.run_in_executor(workers, submit_img2img, services, body, request.state.user)
        job = await hangup.finished(services.queue, id, request)
        return await loop.run_in_executor(workers, _answer, job, asked)

    return router


def submit_txt2img(
    services: Services, body: schemas.StableDiffusionProcessingTxt2Img, owner: str
) -> tuple[schemas.StableDiffusionProcessingTxt2Img, str]:
    """(the body as it was understood, job id)."""
    asked = txt2img.complete(body, services.options.snapshot(), services.options.registry, services.styles)
    script = scripts.chosen(services, asked.script_name, "txt2img")
    extension_args = _extension_args(services, asked, "txt2img")
    try:
        job = txt2img.with_first_pass(
            txt2img.request(asked), asked.firstpass_image or "", services.inputs, services.fetching
        )
        job = dataclasses.replace(job, extension_args=extension_args)
        id = services.submit(job, script=script, arguments=asked.script_args, id=asked.force_task_id, owner=owner)
    except DamagedFile as error:
        raise BadRequest(f"sd_model_checkpoint: {error}", field="sd_model_checkpoint") from error
    return asked, id


def submit_img2img(
    services: Services, body: schemas.StableDiffusionProcessingImg2Img, owner: str
) -> tuple[schemas.StableDiffusionProcessingImg2Img, str]:
    """(the body as it was understood and as the answer shows it, job id)."""
    asked = txt2img.complete(body, services.options.snapshot(), services.options.registry, services.styles)
    script = scripts.chosen(services, asked.script_name, "img2img")
    extension_args = _extension_args(services, asked, "img2img")
    try:
        job = img2img.request(asked, services.inputs, services.fetching)
        job = dataclasses.replace(job, extension_args=extension_args)
        id = services.submit(job, script=script, arguments=asked.script_args, id=asked.force_task_id, owner=owner)
    except DamagedFile as error:
        raise BadRequest(f"sd_model_checkpoint: {error}", field="sd_model_checkpoint") from error
    return asked if asked.include_init_images else asked.model_copy(update={"init_images": None, "mask": None}), id


def _extension_args(services: Services, asked: schemas.Processing, tab: Tab) -> dict[str, Any]:
    """What the body asks of always-on scripts, by itself or in its infotext."""
    given = scripts.always_on(services, asked.alwayson_scripts, tab)
    return {**scripts.told(services, asked.infotext, tab), **given} if asked.infotext else given


def _answer(job: Job, asked: schemas.Processing) -> Response:
    result = errors.result(job)
    if isinstance(result, Response):
        return result
    wanted = result["pictures"] if asked.send_images else []
    content = {
        "images": [pictures.encoded(Path(each["path"])) for each in wanted],
        "parameters": asked.model_dump(),
        "info": errors.dumps(result["info"]),
    }
    if comments := result.get("comments"):
        content["comments"] = comments
    return errors.as_json(content)
