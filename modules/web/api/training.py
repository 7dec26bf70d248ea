"""/sdapi/v1/create/embedding, /create/hypernetwork, /train/embedding, /train/hypernetwork, with A1111's fields.

Training is a job; its route answers when it is done. A field that asks for what Easel does not do is refused by name.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field, model_validator

from modules.core.errors import BadRequest
from modules.networks.training_desk import Training
from modules.web.api import errors
from modules.web.api.schemas import Real, Schema, Text, Whole

if TYPE_CHECKING:
    from modules.jobs.queue import Job
    from modules.web.services import Services

_CAPTIONS = "A file of captions in textual_inversion_templates; empty: the pictures' own."
_ONLY = "only {} is done here"
_REFUSED: dict[str, tuple[Any, str]] = {
    "varsize": (False, "all pictures are brought to one size"),
    "use_weight": (False, "transparency is not used as a weight"),
    "create_image_every": (0, "no pictures are made on the way"),
}
"""Field -> the value that is honoured, and why another one is not."""


class CreateEmbedding(Schema):
    name: Text = ""
    num_vectors_per_token: Annotated[Whole, Field(ge=1, le=75)] = 1
    overwrite_old: bool = False
    init_text: Text = "*"


class CreateHypernetwork(Schema):
    name: Text = ""
    enable_sizes: list[int | str] = Field(["768", "320", "640", "1280"], max_length=16)
    overwrite_old: bool = False
    layer_structure: list[float] | Text | None = Field(
        None, description="Widths as multiples of the context's: 1, 2, 1."
    )
    activation_func: Text | None = None
    weight_init: Text | None = None
    add_layer_norm: bool = False
    use_dropout: bool = False
    dropout_structure: list[float] | Text | None = None


class Train(Schema):
    """A1111's fields; all of preview_* are of no use here, as no pictures are made on the way."""

    id_task: Annotated[Text, Field(max_length=200)] | None = Field(None, description="The job's id.")
    learn_rate: float | Text = 0.005
    batch_size: Annotated[Whole, Field(ge=1, le=1024)] = 1
    gradient_step: Annotated[Whole, Field(ge=1, le=1024)] = 1
    data_root: Text = Field("", description="A folder of pictures on the server, captions beside them in .txt files.")
    log_directory: Text = "textual_inversion"
    training_width: Annotated[Whole, Field(ge=64, le=2048)] = 512
    training_height: Annotated[Whole, Field(ge=64, le=2048)] = 512
    varsize: bool = False
    steps: Annotated[Whole, Field(ge=1, le=10_000_000)] = 100_000
    clip_grad_mode: Text = Field("disabled", description="disabled or norm")
    clip_grad_value: float | Text = 0.1
    shuffle_tags: bool = False
    tag_drop_out: Annotated[Real, Field(ge=0, le=1)] = 0
    latent_sampling_method: Text = Field("once", description="once or deterministic")
    use_weight: bool = False
    create_image_every: Annotated[Whole, Field(ge=0)] = 0
    template_filename: Text = Field("", description=_CAPTIONS)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, body: Any) -> Any:
        return {key: value for key, value in body.items() if value is not None} if isinstance(body, dict) else body


class TrainEmbedding(Train):
    embedding_name: Text = ""
    save_embedding_every: Annotated[Whole, Field(ge=0)] = 0


class TrainHypernetwork(Train):
    hypernetwork_name: Text = ""
    save_hypernetwork_every: Annotated[Whole, Field(ge=0)] = 0


class CreateResponse(Schema):
    info: str = Field(title="Create info", description="The file that was made, in words.")


class TrainResponse(Schema):
    info: str = Field(title="Train info", description="The file that was trained, in words.")


def routes(services: Services) -> APIRouter:
    """Making and training. A waiting client costs no thread."""
    router = APIRouter()

    @router.post("/create/embedding", response_model=CreateResponse)
    def create_embedding(body: CreateEmbedding) -> CreateResponse:
        """A new textual inversion for the chosen checkpoint, in A1111's format."""
        path = services.training.create_embedding(
            body.name, vectors=body.num_vectors_per_token, text=body.init_text, overwrite=body.overwrite_old
        )
        return CreateResponse(info=f"create embedding filename: {path}")

    @router.post("/create/hypernetwork", response_model=CreateResponse)
    def create_hypernetwork(body: CreateHypernetwork) -> CreateResponse:
        """A new hypernetwork, in A1111's format."""
        layers = _numbers(body.layer_structure, "layer_structure") or (1.0, 2.0, 1.0)
        dropout = _numbers(body.dropout_structure, "dropout_structure") if body.use_dropout else ()
        path = services.training.create_hypernetwork(
            body.name,
            [int(size) for size in _numbers(body.enable_sizes, "enable_sizes")],
            overwrite=body.overwrite_old,
            layers=layers,
            activation=body.activation_func or "linear",
            init=body.weight_init or "Normal",
            layer_norm=body.add_layer_norm,
            dropout=dropout,
        )
        return CreateResponse(info=f"create hypernetwork filename: {path}")

    async def trained(body: TrainEmbedding | TrainHypernetwork, kind: str, request: Request) -> Response:
        id = await asyncio.to_thread(submit, services, body, request.state.user)
        return _answer(await services.queue.finished(id), kind)

    @router.post("/train/embedding", response_model=TrainResponse)
    async def train_embedding(body: TrainEmbedding, request: Request) -> Response:
        """Train a textual inversion on a folder of pictures; answers when it is done."""
        return await trained(body, "embedding", request)

    @router.post("/train/hypernetwork", response_model=TrainResponse)
    async def train_hypernetwork(body: TrainHypernetwork, request: Request) -> Response:
        """Train a hypernetwork on a folder of pictures; answers when it is done."""
        return await trained(body, "hypernetwork", request)

    return router


def submit(services: Services, body: TrainEmbedding | TrainHypernetwork, owner: str, *, id: str | None = None) -> str:
    """Check a training, its folders among the rest, and queue it -> job id. Raises BadRequest, NotFound."""
    if isinstance(body, TrainEmbedding):
        asked = wanted(body, "embedding", body.embedding_name, body.save_embedding_every)
    else:
        asked = wanted(body, "hypernetwork", body.hypernetwork_name, body.save_hypernetwork_every)
    check_folders(services, asked)
    return services.training.submit(asked, id=id or body.id_task or None, owner=owner)


def check_folders(services: Services, asked: Training) -> None:
    """Raises BadRequest where others reach the server and may not name these folders."""
    for field, folder in (("data_root", asked.pictures), ("log_directory", asked.log)):
        services.folders.check(folder, field=field)


def wanted(body: Train, kind: str, name: str, every: int) -> Training:
    """The training that a body asks for. Raises BadRequest for what cannot be honoured, with the reason."""
    for field, (honoured, reason) in _REFUSED.items():
        if getattr(body, field) != honoured:
            raise BadRequest(f"{field}: {reason}; send {errors.dumps(honoured)}.", field=field)
    if body.training_width != body.training_height:
        raise BadRequest("training_height: pictures are trained as squares.", field="training_height")
    if body.latent_sampling_method not in ("once", "deterministic"):
        said = _ONLY.format("once or deterministic")
        raise BadRequest(f"latent_sampling_method: {said}.", field="latent_sampling_method")
    if body.clip_grad_mode not in ("disabled", "norm"):
        raise BadRequest(f"clip_grad_mode: {_ONLY.format('disabled or norm')}.", field="clip_grad_mode")
    return Training(
        kind=kind,
        name=name,
        pictures=body.data_root,
        steps=body.steps,
        rate=_positive(body.learn_rate, "learn_rate"),
        batch=body.batch_size,
        gather=body.gradient_step,
        size=body.training_width,
        clip=_positive(body.clip_grad_value, "clip_grad_value") if body.clip_grad_mode == "norm" else None,
        template=body.template_filename,
        shuffle=body.shuffle_tags,
        drop=body.tag_drop_out,
        sampled=body.latent_sampling_method == "once",
        every=every,
        log=body.log_directory,
    )


def _answer(job: Job, kind: str) -> Response:
    result = errors.result(job)
    if isinstance(result, Response):
        return result
    return errors.as_json({"info": f"train {kind} complete: filename: {result['path']} error: None"})


def _positive(written: float | str, field: str) -> float:
    """A1111 takes learning rates as numbers or as text; its schedules ("0.005:100, 1e-3") are not followed."""
    text = str(written).strip()
    if ":" in text or "," in text:
        raise BadRequest(f"{field}: schedules are not followed here; give one number.", field=field)
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 10:
        raise BadRequest(f"{field}: {text[:40]!r} is not a number between 0 and 10.", field=field)
    return number


def _numbers(written: Any, field: str) -> tuple[float, ...]:
    """A list, or text with commas; float reads "inf" and "nan" too, which are sizes of nothing."""
    parts = written.split(",") if isinstance(written, str) else written or ()
    wants = BadRequest(f"{field}: wants numbers, with commas.", field=field)
    try:
        numbers = tuple(float(part) for part in parts if str(part).strip())
    except (TypeError, ValueError, OverflowError) as error:
        raise wants from error
    if not all(map(math.isfinite, numbers)):
        raise wants
    return numbers
