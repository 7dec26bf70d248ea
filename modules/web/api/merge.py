"""/easel/v1/merge: the checkpoint merger. A1111 has none in its API; the fields are those of its page.

POST queues a merge and answers with the job's id at once; GET tells how far it is (also /internal/progress), and its
result. /sdapi/v1/interrupt stops the one that runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from pydantic import Field

from modules.core.errors import BadRequest, DamagedFile, NotFound
from modules.merging.jobs import KIND
from modules.merging.request import CONFIG_SOURCES, METHODS, Merge
from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.web.services import Services


class MergeRequest(Schema):
    primary_model_name: str
    secondary_model_name: str = ""
    tertiary_model_name: str = ""
    interp_method: str = Field("Weighted sum", description=", ".join(METHODS))
    multiplier: float = 0.3
    save_as_half: bool = False
    custom_name: str = Field("", description="Name of the new file without ending; empty: made of the models' names.")
    checkpoint_format: str = Field("safetensors", description="safetensors or ckpt")
    config_source: int = Field(0, description=f"Whose .yaml is copied: index in {', '.join(CONFIG_SOURCES)}.")
    bake_in_vae: str = "None"
    discard_weights: str = Field("", description="A regular expression: tensors with such names are left out.")
    save_metadata: bool = True
    add_merge_recipe: bool = True
    copy_metadata_fields: bool = True
    metadata_json: str = "{}"
    block_weights: list[float] = Field([], max_length=100, description="A multiplier a block: IN00…, M00, OUT00….")
    loras: list[tuple[str, float]] = Field([], max_length=100, description="Names and strengths of LoRAs to bake in.")
    force_task_id: str | None = Field(None, description="The job's id.")


class MergeQueued(Schema):
    id: str


class MergeState(Schema):
    id: str
    state: str = Field(description="pending, running, done, failed or cancelled")
    progress: float = Field(description="0..1")
    error: str | None = None
    result: dict[str, Any] | None = Field(None, description="checkpoint (its title), path, comments, seconds")


def routes(services: Services) -> APIRouter:
    """Merging, and following it."""
    router = APIRouter()

    @router.post("/merge", response_model=MergeQueued)
    def merge(body: MergeRequest, request: Request) -> MergeQueued:
        """Make a new checkpoint of others."""
        fields = body.model_dump(exclude={"force_task_id"})
        try:
            asked = Merge.of_json(fields)
            return MergeQueued(id=services.submit_merge(asked, id=body.force_task_id, owner=request.state.user))
        except DamagedFile as error:
            raise BadRequest(str(error)) from error

    @router.get("/merge/{id}", response_model=MergeState)
    def get_merge(id: str) -> MergeState:
        """A merge that was asked for."""
        job = services.queue.get(id)
        if job.kind != KIND:
            raise NotFound("Merge", id)
        progress = services.queue.progress(id)
        return MergeState(
            id=id,
            state=job.state,
            progress=progress.fraction if progress else 0.0,
            error=job.error,
            result=job.result,
        )

    return router
