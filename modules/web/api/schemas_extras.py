"""Bodies and answers of postprocessing, field for field those of A1111's OpenAPI file; ours only adds bounds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from modules.web.api.schemas import MAX_SIDE, Real, Schema, Text, Whole

Share = Annotated[Real, Field(ge=0, le=1)]
_UPSCALERS = "A name from /sdapi/v1/upscalers."


class ExtrasBaseRequest(Schema):
    """What to do. `upscale_first` changes nothing: as in A1111, upscaling always comes first. `force_task_id`, which
    A1111 has for txt2img only, becomes the job's id.
    """

    resize_mode: Literal[0, 1] = Field(
        default=0,
        title="Resize Mode",
        description="0: by upscaling_resize, 1: to upscaling_resize_w x upscaling_resize_h.",
    )
    show_extras_results: bool = Field(default=True, title="Show results", description="Answer with the pictures.")
    gfpgan_visibility: Share = Field(default=0, title="GFPGAN Visibility")
    codeformer_visibility: Share = Field(default=0, title="CodeFormer Visibility")
    codeformer_weight: Share = Field(default=0, title="CodeFormer Weight", description="0 is the most effect.")
    upscaling_resize: Annotated[Real, Field(gt=0, le=64)] = Field(default=2, title="Upscaling Factor")
    upscaling_resize_w: Annotated[Whole, Field(ge=1, le=MAX_SIDE)] = Field(default=512, title="Target Width")
    upscaling_resize_h: Annotated[Whole, Field(ge=1, le=MAX_SIDE)] = Field(default=512, title="Target Height")
    upscaling_crop: bool = Field(default=True, title="Crop to fit")
    upscaler_1: Text = Field(default="None", title="Main upscaler", description=_UPSCALERS)
    upscaler_2: Text = Field(default="None", title="Secondary upscaler", description=_UPSCALERS)
    extras_upscaler_2_visibility: Share = Field(default=0, title="Secondary upscaler visibility")
    upscale_first: bool = Field(default=False, title="Upscale first")
    steps: dict[str, dict[str, Any]] = Field(
        default={},
        title="Further steps",
        description="Steps of extensions, and Easel's beyond those above: name -> arguments. Each has to be asked for.",
    )
    force_task_id: Annotated[Text, Field(min_length=1, max_length=200)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, body: Any) -> Any:
        return {key: value for key, value in body.items() if value is not None} if isinstance(body, dict) else body


class ExtrasSingleImageRequest(ExtrasBaseRequest):
    image: str = Field(default="", description="A picture file, base64, with or without a data: prefix.")


class ExtrasSingleImageResponse(Schema):
    html_info: str = Field(title="HTML info", description="What was done.")
    image: str | None = Field(default=None, description="The picture, base64 without a prefix.")


class FileData(Schema):
    data: str = Field(title="File data", description="A picture file, base64, with or without a data: prefix.")
    name: Text = Field(title="File name")


class ExtrasBatchImagesRequest(ExtrasBaseRequest):
    imageList: list[FileData] = Field(title="Images", max_length=10_000)  # noqa: N815 (A1111's name)


class ExtrasBatchImagesResponse(Schema):
    html_info: str = Field(title="HTML info", description="What was done.")
    images: list[str] = Field(description="The pictures, base64 without a prefix.")


class UpscalerItem(Schema):
    name: str
    model_name: str | None = None
    model_path: str | None = Field(default=None, title="Path")
    model_url: str | None = Field(default=None, title="URL", description="Always null: nothing is downloaded.")
    scale: float | None = Field(default=None, description="Its own factor, as far as its name tells.")


class LatentUpscalerModeItem(Schema):
    name: str


class RealesrganItem(Schema):
    name: str
    path: str | None = Field(default=None, description="The file, or where it belongs.")
    scale: int | None = None


class FaceRestorerItem(Schema):
    name: str
    cmd_dir: str | None = Field(default=None, title="Path", description="The folder its file belongs in.")
