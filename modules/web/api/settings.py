"""/sdapi/v1/options: all settings, read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body
from pydantic import Field, create_model

from modules.core.errors import BadRequest, DamagedFile
from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.settings.options import Option, Registry
    from modules.web.services import Services

_TYPES: dict[str, Any] = {"bool": bool, "int": int, "float": float, "choices": list[str]}
CHECKPOINT = "sd_model_checkpoint"


def routes(services: Services) -> APIRouter:
    """Settings as A1111's clients read and write them."""
    router = APIRouter()
    documented: dict[int | str, dict[str, Any]] = {200: {"model": _documented(services.options.registry)}}

    @router.get("/options", responses=documented, response_model=None)
    def get_config() -> dict[str, Any]:
        """All settings. A checkpoint that nobody chose yet is the first one there is, as it is for a request."""
        values = dict(services.options.snapshot())
        if not values[CHECKPOINT]:
            first = next(iter(services.library.checkpoints()), None)
            values |= {CHECKPOINT: first.title, "sd_checkpoint_hash": first.sha256 or ""} if first else {}
        return values

    @router.post("/options")
    def set_config(req: Annotated[dict[str, Any], Body()]) -> None:
        """Change some settings, all of them or none. The checkpoint may be given by any name it has."""
        services.options.set({**req, **_checkpoint(services, req.get(CHECKPOINT))})

    return router


def _checkpoint(services: Services, name: Any) -> dict[str, Any]:
    """The settings that choosing this checkpoint means. Raises NotFound or BadRequest naming the field."""
    if name is None or name == services.options.snapshot()[CHECKPOINT]:
        return {}
    if not isinstance(name, str):
        raise BadRequest(f"{CHECKPOINT}: wants the name of a checkpoint.", field=CHECKPOINT)
    if not name.strip():
        return {CHECKPOINT: None}
    try:
        found = services.library.hashed(services.library.find(name))
    except DamagedFile as error:
        raise BadRequest(f"{CHECKPOINT}: {error}", field=CHECKPOINT) from error
    return {CHECKPOINT: found.title, "sd_checkpoint_hash": found.sha256 or ""}


def _documented(registry: Registry) -> type[Schema]:
    """The settings as an OpenAPI schema: documentation only, answers are not checked against it."""
    fields = {option.key: _field(option) for option in registry.options()}
    return create_model("Options", __base__=Schema, **fields)


def _field(option: Option) -> Any:
    type_ = _TYPES.get(option.kind, str)
    description = f"{option.label} {option.help}".strip()
    return type_ if option.default is not None else type_ | None, Field(option.default, description=description)
