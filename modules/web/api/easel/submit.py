"""Bodies of /easel/v1/jobs, one for each kind of work, and how each becomes a job. What is wrong is never queued."""

from __future__ import annotations

import abc
import hashlib
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from modules.core.errors import BadRequest, DamagedFile
from modules.generate.extras_jobs import Upload
from modules.jobs.line import PRIORITIES
from modules.merging.request import Merge
from modules.web.api import extras, generation, merge, pictures, schemas, schemas_extras, training
from modules.web.api.pictures import decode
from modules.web.api.schemas import Schema, Whole

if TYPE_CHECKING:
    from modules.web.services import Services

MAX_KEY = 255


class Webhook(Schema):
    """Whom to tell when the job's state changes: a POST, signed when there is a secret (see docs/jobs-api.md)."""

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    secret: Annotated[str, Field(max_length=500)] = ""
    events: tuple[Literal["queued", "started", "done", "failed", "cancelled"], ...] = ("done", "failed", "cancelled")


class _Job(Schema, abc.ABC):
    priority: Annotated[Whole, Field(ge=PRIORITIES[0], le=PRIORITIES[-1])] = 0
    webhook: Webhook | None = None

    @abc.abstractmethod
    def queue(self, services: Services, id: str, owner: str) -> None:
        """Check the work and queue it under this id. Raises BadRequest, NotFound, NoCheckpoint, DamagedFile."""


class Txt2ImgJob(_Job):
    """The request is that of /sdapi/v1/txt2img, scripts included."""

    kind: Literal["txt2img"]
    request: schemas.StableDiffusionProcessingTxt2Img

    def queue(self, services: Services, id: str, owner: str) -> None:
        asked = self.request.model_copy(update={"force_task_id": id})
        generation.submit_txt2img(services, asked, owner)


class Img2ImgJob(_Job):
    """The request is that of /sdapi/v1/img2img, scripts included."""

    kind: Literal["img2img"]
    request: schemas.StableDiffusionProcessingImg2Img

    def queue(self, services: Services, id: str, owner: str) -> None:
        asked = self.request.model_copy(update={"force_task_id": id})
        generation.submit_img2img(services, asked, owner)


class ExtrasJob(_Job):
    """The request is that of /sdapi/v1/extra-batch-images; one picture is a list of one."""

    kind: Literal["extras"]
    request: schemas_extras.ExtrasBatchImagesRequest

    def queue(self, services: Services, id: str, owner: str) -> None:
        files = [
            (file.name, file.data, f"imageList.{number}.data") for number, file in enumerate(self.request.imageList)
        ]
        uploads = [Upload(data=decode(text, field=field), name=name, field=field) for name, text, field in files]
        services.submit_extras(extras.request(self.request), uploads, id=id, owner=owner)


class MergeJob(_Job):
    """The request is that of /easel/v1/merge."""

    kind: Literal["merge"]
    request: merge.MergeRequest

    def queue(self, services: Services, id: str, owner: str) -> None:
        fields = self.request.model_dump(exclude={"force_task_id"})
        services.submit_merge(Merge.of_json(fields), id=id, owner=owner)


class InterrogateJob(_Job):
    """The request is that of /sdapi/v1/interrogate; the result's `more` has the caption."""

    kind: Literal["interrogate"]
    request: schemas.InterrogateRequest

    def queue(self, services: Services, id: str, owner: str) -> None:
        pictures.submit(services, self.request, owner, id=id)


class TrainEmbeddingJob(_Job):
    """The request is that of /sdapi/v1/train/embedding; its `id_task` is not used."""

    kind: Literal["train-embedding"]
    request: training.TrainEmbedding

    def queue(self, services: Services, id: str, owner: str) -> None:
        training.submit(services, self.request, owner, id=id)


class TrainHypernetworkJob(_Job):
    """The request is that of /sdapi/v1/train/hypernetwork; its `id_task` is not used."""

    kind: Literal["train-hypernetwork"]
    request: training.TrainHypernetwork

    def queue(self, services: Services, id: str, owner: str) -> None:
        training.submit(services, self.request, owner, id=id)


Work = Txt2ImgJob | Img2ImgJob | ExtrasJob | MergeJob | InterrogateJob | TrainEmbeddingJob | TrainHypernetworkJob
Body = Annotated[Work, Field(discriminator="kind")]


def queued(services: Services, body: Body, id: str, owner: str) -> None:
    """Queue what a body asks for, with its priority and webhook. Raises BadRequest, NotFound, NoCheckpoint."""
    hook = body.webhook
    if hook is not None:
        services.webhooks.register(id, hook.url, secret=hook.secret, types=hook.events)
    try:
        body.queue(services, id, owner)
    except BaseException as error:
        if hook is not None:
            services.webhooks.forget(id)
        if isinstance(error, DamagedFile):
            raise BadRequest(str(error)) from error
        raise
    if body.priority and services.queue.get(id).state == "pending":
        services.queue.line.prioritize(id, body.priority)


def id_of(key: str, owner: str) -> str:
    """The job's id for an Idempotency-Key: the same key of the same user means the same job, also after a restart."""
    if len(key) > MAX_KEY:
        raise BadRequest(f"Idempotency-Key: take at most {MAX_KEY} characters.", field="Idempotency-Key")
    digest = hashlib.sha256(f"{owner}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"key-{digest[:40]}"
