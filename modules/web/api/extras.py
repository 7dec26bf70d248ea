"""/sdapi/v1/extra-single-image, /extra-batch-images and what they choose from: /upscalers, /latent-upscale-modes,
/realesrgan-models, /face-restorers. The answers' pictures are not among the saved ones, as in A1111.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from modules.core.errors import BadRequest
from modules.generate.extras import Extras
from modules.generate.extras_jobs import Upload
from modules.imaging.upscale import LATENT_MODES
from modules.loading.faces import RESTORERS
from modules.loading.upscale.files import REAL_ESRGAN, Known
from modules.web.api import errors, hangup
from modules.web.api import schemas_extras as schemas
from modules.web.api.pictures import decode, encoded

if TYPE_CHECKING:
    from modules.jobs.queue import Job
    from modules.web.services import Services

THREADS = 4  # for decoding and reading pictures: apart from the server's own, which stay free for progress


def routes(services: Services) -> APIRouter:
    """Postprocessing. A waiting client costs no thread."""
    router = APIRouter()
    workers = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="easel-extras")

    async def done(body: schemas.ExtrasBaseRequest, files: Sequence[tuple[str, str, str]], request: Request) -> Any:
        """(html_info, pictures) of the job, or an answer that says why there are none."""
        loop = asyncio.get_running_loop()
        id = await loop.run_in_executor(workers, submit, services, body, files, request.state.user)
        job = await hangup.finished(services.queue, id, request)
        return await loop.run_in_executor(workers, _pictures, job, body.show_extras_results)

    @router.post("/extra-single-image", response_model=schemas.ExtrasSingleImageResponse)
    async def extras_single_image_api(body: schemas.ExtrasSingleImageRequest, request: Request) -> Response:
        """Upscale a picture, restore its faces; answers when it is done."""
        answer = await done(body, [("", body.image, "image")], request)
        if isinstance(answer, Response):
            return answer
        html, pictures = answer
        return errors.as_json({"html_info": html, "image": pictures[0] if pictures else None})

    @router.post("/extra-batch-images", response_model=schemas.ExtrasBatchImagesResponse)
    async def extras_batch_images_api(body: schemas.ExtrasBatchImagesRequest, request: Request) -> Response:
        """The same for several pictures; answers when all are done. html_info tells of the last one."""
        files = [(file.name, file.data, f"imageList.{number}.data") for number, file in enumerate(body.imageList)]
        answer = await done(body, files, request)
        if isinstance(answer, Response):
            return answer
        return errors.as_json({"html_info": answer[0], "images": answer[1]})

    _add_lists(router, services)
    return router


def _add_lists(router: APIRouter, services: Services) -> None:
    @router.get("/upscalers", response_model=list[schemas.UpscalerItem])
    def get_upscalers() -> list[schemas.UpscalerItem]:
        """Those that can be used now: None, Lanczos, Nearest, files in the models folders, and what extensions add."""
        services.upscalers.refresh()
        return [
            schemas.UpscalerItem(
                name=row.name,
                model_name=row.name if row.path else None,
                model_path=str(row.path) if row.path else None,
                scale=row.scale,
            )
            for row in services.upscalers.rows()
        ]

    @router.get("/latent-upscale-modes", response_model=list[schemas.LatentUpscalerModeItem])
    def get_latent_upscale_modes() -> list[schemas.LatentUpscalerModeItem]:
        """Upscalers of the hires fix that work on latents."""
        return [schemas.LatentUpscalerModeItem(name=name) for name in LATENT_MODES]

    @router.get("/realesrgan-models", response_model=list[schemas.RealesrganItem])
    def get_realesrgan_models() -> list[schemas.RealesrganItem]:
        """The Real-ESRGAN models that A1111 knows, whether their files are here or not."""
        return [
            schemas.RealesrganItem(name=known.name, path=_place(services, known), scale=known.scale)
            for known in REAL_ESRGAN
        ]

    @router.get("/face-restorers", response_model=list[schemas.FaceRestorerItem])
    def get_face_restorers() -> list[schemas.FaceRestorerItem]:
        """Both of A1111's; what a missing file needs is said when one is asked for."""
        folders = services.faces.folders
        return [schemas.FaceRestorerItem(name=row.name, cmd_dir=_first(folders.get(row.folder))) for row in RESTORERS]


def _first(folders: Sequence[Path] | None) -> str | None:
    return str(folders[0]) if folders else None


def _place(services: Services, known: Known) -> str | None:
    """Where the file of a known model lies or belongs."""
    found = next((row.path for row in services.upscalers.rows() if row.name == known.name and row.path), None)
    folder = services.upscalers.folders.get(known.folder, (None,))[0]
    return str(found) if found else str(folder / f"{known.stem}.pth") if folder else None


def submit(
    services: Services, body: schemas.ExtrasBaseRequest, files: Sequence[tuple[str, str, str]], owner: str
) -> str:
    """Files are (name, base64, field) -> job id."""
    addresses = services.fetching
    uploads = [
        Upload(data=decode(text, field=field, addresses=addresses), name=name, field=field)
        for name, text, field in files
    ]
    return services.submit_extras(request(body), uploads, id=body.force_task_id, owner=owner)


def request(body: schemas.ExtrasBaseRequest) -> Extras:
    """The job that a body asks for, without its pictures."""
    steps: dict[str, dict[str, Any]] = {
        "Upscale": {
            "upscale_mode": body.resize_mode,
            "upscale_by": body.upscaling_resize,
            "upscale_to_width": body.upscaling_resize_w,
            "upscale_to_height": body.upscaling_resize_h,
            "upscale_crop": body.upscaling_crop,
            "upscaler_1_name": body.upscaler_1,
            "upscaler_2_name": body.upscaler_2,
            "upscaler_2_visibility": body.extras_upscaler_2_visibility,
        },
        "GFPGAN": {"enable": True, "gfpgan_visibility": body.gfpgan_visibility},
        "CodeFormer": {
            "enable": True,
            "codeformer_visibility": body.codeformer_visibility,
            "codeformer_weight": body.codeformer_weight,
        },
    }
    for name in steps:
        if name in body.steps:
            raise BadRequest(f"steps: {name} has fields of its own.", field="steps")
    return Extras(steps=steps | body.steps, save=False)


def _pictures(job: Job, wanted: bool) -> tuple[str, list[str]] | Response:
    result = errors.result(job)
    if isinstance(result, Response):
        return result
    found = result["pictures"] if wanted else []
    return result["html_info"], [encoded(Path(each["path"])) for each in found]
