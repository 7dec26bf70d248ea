"""`api.api`: pictures in base64, and the class that A1111's routes are methods of."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, HTTPException

from modules.compat import room as rooms
from modules.compat.picture import decode_base64_to_image, encode_pil_to_base64

__all__ = [
    "Api",
    "decode_base64_to_image",
    "encode_pil_to_base64",
    "script_name_to_index",
    "setUpscalers",
    "validate_sampler_name",
    "verify_url",
]


def script_name_to_index(name: str, scripts: list[Any]) -> int:
    for index, script in enumerate(scripts):
        if script.title().lower() == name.lower():
            return index
    raise HTTPException(status_code=422, detail=f"Script '{name}' not found")


def validate_sampler_name(name: str) -> str:
    from modules.compat import sampling

    if name not in sampling.by_name():
        raise HTTPException(status_code=404, detail="Sampler not found")
    return name


def setUpscalers(req: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
    made = dict(req)
    made["extras_upscaler_1"] = made.pop("upscaler_1", None)
    made["extras_upscaler_2"] = made.pop("upscaler_2", None)
    return made


def verify_url(url: str) -> bool:
    """No picture is fetched by its address."""
    return False


class Api:
    """The REST interface from inside: app's routes; txt2img and img2img take A1111's bodies and answer with its."""

    def __init__(self, app: Any, queue_lock: Any = None) -> None:
        self.app, self.queue_lock = app, queue_lock
        self.router = APIRouter()
        self.credentials: dict[str, str] = {}
        self.default_script_arg_txt2img: list[Any] = []
        self.default_script_arg_img2img: list[Any] = []

    def add_api_route(self, path: str, endpoint: Any, **kwargs: Any) -> Any:
        return self.app.add_api_route(path, endpoint, **kwargs)

    def text2imgapi(self, txt2imgreq: Any) -> Any:
        return self._made("txt2img", txt2imgreq)

    def img2imgapi(self, img2imgreq: Any) -> Any:
        return self._made("img2img", img2imgreq)

    def _made(self, tab: str, body: Any) -> Any:
        from modules.web.api import generation, schemas

        services = rooms.current().app.services
        submit: Any = generation.submit_txt2img if tab == "txt2img" else generation.submit_img2img
        kind = (
            schemas.StableDiffusionProcessingTxt2Img if tab == "txt2img" else schemas.StableDiffusionProcessingImg2Img
        )
        asked, id = submit(services, kind.model_validate(_plain(body)), "")
        answer = generation._answer(services.queue.wait(id), asked)
        if answer.status_code != 200:
            raise HTTPException(status_code=answer.status_code, detail=json.loads(bytes(answer.body)))
        return schemas.TextToImageResponse.model_validate(json.loads(bytes(answer.body)))


def _plain(body: Any) -> dict[str, Any]:
    if hasattr(body, "model_dump"):
        return dict(body.model_dump(exclude_unset=True))
    return dict(body)
