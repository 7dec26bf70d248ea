"""What prompts may name: /sdapi/v1/prompt-styles, /hypernetworks, /loras, /embeddings, and looking for them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import Field

from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.networks.embeddings import Embedding
    from modules.web.services import Services


class PromptStyleItem(Schema):
    name: str
    prompt: str | None = None
    negative_prompt: str | None = None


class HypernetworkItem(Schema):
    name: str
    path: str | None = None


class EmbeddingItem(Schema):
    step: int | None = Field(default=None, description="Steps that it was trained for, where its file says so.")
    sd_checkpoint: str | None = Field(default=None, title="SD Checkpoint", description="Hash of its training's model.")
    sd_checkpoint_name: str | None = Field(
        default=None, title="SD Checkpoint Name", description="Name of its training's model, as the trainer called it."
    )
    shape: int = Field(description="Width of its vectors.")
    vectors: int = Field(description="How many vectors it has.")


class EmbeddingsResponse(Schema):
    loaded: dict[str, EmbeddingItem] = Field(description="Those that prompts for the chosen checkpoint can use.")
    skipped: dict[str, EmbeddingItem] = Field(description="Those that are made for models of another kind.")


def routes(services: Services) -> APIRouter:
    """Lists of styles and networks."""
    router = APIRouter()

    @router.get("/prompt-styles", response_model=list[PromptStyleItem])
    def get_prompt_styles() -> list[PromptStyleItem]:
        return [
            PromptStyleItem(name=style.name, prompt=style.prompt, negative_prompt=style.negative_prompt)
            for style in services.styles.read().values()
        ]

    @router.get("/hypernetworks", response_model=list[HypernetworkItem])
    def get_hypernetworks() -> list[HypernetworkItem]:
        files = services.networks().hypernetworks.all()
        return [HypernetworkItem(name=file.name, path=str(file.path)) for file in files]

    @router.get("/loras")
    def get_loras() -> list[dict[str, Any]]:
        """LoRA files, with what their metadata say."""
        return [
            {"name": file.name, "alias": file.alias, "path": str(file.path), "metadata": dict(file.metadata)}
            for file in services.networks().loras.all()
        ]

    @router.post("/refresh-loras")
    def refresh_loras() -> None:
        """Look for LoRA files again."""
        services.networks().loras.refresh()

    @router.get("/embeddings", response_model=EmbeddingsResponse)
    def get_embeddings() -> EmbeddingsResponse:
        """Textual inversions; which of them count as loaded hangs on the checkpoint that is chosen now."""
        fitting, others = services.embeddings()
        return EmbeddingsResponse(
            loaded={each.name: _item(each) for each in fitting}, skipped={each.name: _item(each) for each in others}
        )

    @router.post("/refresh-embeddings")
    def refresh_embeddings() -> None:
        """Look for textual inversions again."""
        services.networks().embeddings.scan()

    return router


def _item(embedding: Embedding) -> EmbeddingItem:
    shape = sum(each.shape[-1] for each in embedding.vectors.values())
    return EmbeddingItem(
        step=embedding.step,
        sd_checkpoint=embedding.checkpoint_hash,
        sd_checkpoint_name=embedding.checkpoint_name,
        shape=shape,
        vectors=embedding.count,
    )
