"""`api.models`: bodies and answers of the REST interface under A1111's names."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from modules.web.api import schemas, schemas_extras
from modules.web.api.schemas import ImageToImageResponse as ImageToImageResponse
from modules.web.api.schemas import (
    InterrogateRequest,
    MemoryResponse,
    PNGInfoRequest,
    PNGInfoResponse,
    ProgressResponse,
    SamplerItem,
    SchedulerItem,
    SDModelItem,
)
from modules.web.api.schemas import StableDiffusionProcessingImg2Img as StableDiffusionImg2ImgProcessingAPI
from modules.web.api.schemas import StableDiffusionProcessingTxt2Img as StableDiffusionTxt2ImgProcessingAPI
from modules.web.api.schemas import TextToImageResponse as TextToImageResponse
from modules.web.api.schemas_extras import (
    ExtrasBaseRequest,
    ExtrasBatchImagesRequest,
    ExtrasBatchImagesResponse,
    ExtrasSingleImageRequest,
    ExtrasSingleImageResponse,
    FaceRestorerItem,
    FileData,
    RealesrganItem,
    UpscalerItem,
)

__all__ = [
    "Any",
    "BaseModel",
    "CreateResponse",
    "ExtrasBaseRequest",
    "ExtrasBatchImagesRequest",
    "ExtrasBatchImagesResponse",
    "ExtrasSingleImageRequest",
    "ExtrasSingleImageResponse",
    "FaceRestorerItem",
    "FileData",
    "ImageToImageResponse",
    "InterrogateRequest",
    "InterrogateResponse",
    "MemoryResponse",
    "PNGInfoRequest",
    "PNGInfoResponse",
    "ProgressResponse",
    "RealesrganItem",
    "SDModelItem",
    "SamplerItem",
    "SchedulerItem",
    "StableDiffusionImg2ImgProcessingAPI",
    "StableDiffusionTxt2ImgProcessingAPI",
    "TextToImageResponse",
    "UpscalerItem",
    "schemas",
    "schemas_extras",
]


class InterrogateResponse(BaseModel):
    caption: str | None = None


class CreateResponse(BaseModel):
    info: str
