"""/sdapi/v1/options: all settings, read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body
from pydantic import Field, create_model

from modules.core.errors import BadRequest, DamagedFile, NotFound
from modules.loading.vaes import AUTOMATIC, NONE
from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.settings.options import Option, Registry
    from modules.web.services import Services

_TYPES: dict[str, Any] = {"bool": bool, "int": int, "float": float, "choices": list[str]}
CHECKPOINT = "sd_model_checkpoint"
HASH = "sd_checkpoint_hash"
VAE = "sd_vae"


def routes(services: Services) -> APIRouter:
    """Settings as A1111's clients read and write them."""
    router = APIRouter()
    documented: dict[int | str, dict[str, Any]] = {200: {"model": _documented(services.options.registry)}}

    @router.get("/options", responses=documented, response_model=None)
    def get_config() -> dict[str, Any]:
        """All settings. The checkpoint has the title that /sd-models gives it; the first one if none was chosen."""
        return {**services.options.snapshot(), **_shown(services)}

    @router.post("/options")
    def set_config(req: Annotated[dict[str, Any], Body()]) -> None:
        """Change some settings, all of them or none. The checkpoint may be given by any name it has."""
        chosen = {**_checkpoint(services, req.get(CHECKPOINT)), **_vae(services, req.get(VAE))}
        services.options.set({**req, **chosen})

    return router


def _shown(services: Services) -> dict[str, Any]:
    """The settings of the checkpoint as clients see them: its hash joins its title only once it is known."""
    kept = services.options.snapshot()[CHECKPOINT]
    try:
        found = services.library.find(kept) if kept else next(iter(services.library.checkpoints()), None)
    except (NotFound, DamagedFile):  # chosen, and gone since: the next request for a picture says so
        found = None
    return {CHECKPOINT: found.title, HASH: found.sha256 or ""} if found else {}


def _checkpoint(services: Services, name: Any) -> dict[str, Any]:
    """The settings that choosing this checkpoint means. Raises NotFound or BadRequest naming the field."""
    now = services.options.snapshot()
    if name is None:
        return {}
    if name in (now[CHECKPOINT], _shown(services).get(CHECKPOINT)):  # sent back as it was got: no choice
        return {CHECKPOINT: now[CHECKPOINT], HASH: now[HASH]}
    if not isinstance(name, str):
        raise BadRequest(f"{CHECKPOINT}: wants the name of a checkpoint.", field=CHECKPOINT)
    if not name.strip():
        return {CHECKPOINT: None}
    try:
        found = services.library.hashed(services.library.find(name))
    except DamagedFile as error:
        raise BadRequest(f"{CHECKPOINT}: {error}", field=CHECKPOINT) from error
    return {CHECKPOINT: found.title, HASH: found.sha256 or ""}


def _vae(services: Services, name: Any) -> dict[str, Any]:
    """The setting that choosing this VAE means: its file's name. Raises NotFound or BadRequest naming the field."""
    if not isinstance(name, str) or name in (NONE, *AUTOMATIC, services.options.snapshot()[VAE]):
        return {}  # what is no text the option itself refuses
    try:
        return {VAE: services.library.vaes.find(name).name}
    except DamagedFile as error:
        raise BadRequest(f"{VAE}: {error}", field=VAE) from error


def _documented(registry: Registry) -> type[Schema]:
    """The settings as an OpenAPI schema: documentation only, answers are not checked against it."""
    fields = {option.key: _field(option) for option in registry.options()}
    return create_model("Options", __base__=Schema, **fields)


def _field(option: Option) -> Any:
    type_ = _TYPES.get(option.kind, str)
    description = f"{option.label} {option.help}".strip()
    return type_ if option.default is not None else type_ | None, Field(option.default, description=description)
