"""/easel/v1/history: every saved picture: search with paging, star, delete to the trash and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathField
from pydantic import Field

from modules.jobs.history import Search
from modules.web.api.easel import views
from modules.web.api.easel.views import HistoryView
from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.web.services import Services

MAX_NUMBER = 2**63 - 1


class HistoryPage(Schema):
    pictures: list[HistoryView]
    count: int = Field(description="How many there are on all pages.")
    cursor: str | None = Field(description="Ask with it for the next page; null: this is the last one.")


class Stars(Schema):
    starred: bool


class Names(Schema):
    """What there is to choose from, the most frequent first."""

    models: list[str]
    samplers: list[str]
    kinds: list[str]


class Emptied(Schema):
    deleted: int


Number = Annotated[int, PathField(ge=0, le=MAX_NUMBER)]


def routes(services: Services) -> APIRouter:
    """Pictures that were made."""
    router = APIRouter(tags=["history"])
    history = services.history

    @router.get("/history", response_model=HistoryPage)
    def search_history(
        request: Request,
        text: Annotated[str, Query(description="Words: each is in the infotext, the path or the model's name.")] = "",
        prompt: Annotated[str, Query(description="Words of the prompt or the negative prompt.")] = "",
        model: str = "",
        sampler: str = "",
        seed: int | None = None,
        since: Annotated[float | None, Query(description="Unix seconds.", allow_inf_nan=False)] = None,
        until: Annotated[float | None, Query(description="Unix seconds; not in it.", allow_inf_nan=False)] = None,
        starred: bool | None = None,
        job: str | None = None,
        kind: Annotated[list[str], Query()] = [],  # noqa: B006  (FastAPI copies it)
        trash: Annotated[bool, Query(description="Look in the trash instead.")] = False,
        order: Literal["newest", "oldest"] = "newest",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: str | None = None,
    ) -> HistoryPage:
        """All that is given must hold; ASCII case is ignored."""
        search = Search(
            text=text,
            prompt=prompt,
            model=model,
            sampler=sampler,
            seed=seed,
            since=since,
            until=until,
            starred=starred,
            job_id=job,
            kinds=tuple(kind),
            trashed=trash,
            beyond=views.number(cursor, "cursor"),
            oldest_first=order == "oldest",
            limit=limit + 1,
        )
        found = history.find(search)
        shown = found[:limit]
        return HistoryPage(
            pictures=[views.picture(each, views.root(request)) for each in shown],
            count=history.count(search),
            cursor=str(shown[-1].number) if len(found) > limit else None,
        )

    @router.get("/history/names", response_model=Names)
    def get_names() -> Names:
        """Models, samplers and kinds, for filters."""
        return Names(models=history.names("model"), samplers=history.names("sampler"), kinds=history.names("kind"))

    @router.delete("/history/trash", response_model=Emptied)
    def empty_trash() -> Emptied:
        """Delete everything in the trash for good."""
        return Emptied(deleted=services.trash.empty())

    _add_one(router, services)
    return router


def _add_one(router: APIRouter, services: Services) -> None:
    history, trash = services.history, services.trash

    @router.get("/history/{number}", response_model=HistoryView)
    def get_entry(number: Number, request: Request) -> HistoryView:
        return views.picture(history.get(number), views.root(request))

    @router.get("/history/{number}/picture", response_class=Response, responses={200: {"content": {"image/*": {}}}})
    def get_file(number: Number) -> Response:
        """The picture as it was written."""
        path = history.get(number).file
        return Response(views.content({"path": path}), media_type=views.media_type(path))

    @router.patch("/history/{number}", response_model=HistoryView)
    def star(number: Number, body: Stars, request: Request) -> HistoryView:
        """Mark a picture with a star, or take it away."""
        history.star(number, body.starred)
        return views.picture(history.get(number), views.root(request))

    @router.delete("/history/{number}", response_model=HistoryView)
    def delete(number: Number, request: Request) -> HistoryView:
        """Move a picture to the trash; `restore` brings it back."""
        return views.picture(trash.put(number), views.root(request))

    @router.post("/history/{number}/restore", response_model=HistoryView)
    def restore(number: Number, request: Request) -> HistoryView:
        """Out of the trash, to where it was."""
        return views.picture(trash.restore(number), views.root(request))

    @router.delete("/history/{number}/forever", status_code=204)
    def destroy(number: Number) -> Response:
        """Delete a picture in the trash for good."""
        trash.destroy(number)
        return Response(status_code=204)
