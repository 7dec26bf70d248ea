"""What a running script is given: it makes cells, keeps pictures of its own, asks whether to stop. Imports no torch.

`running` builds a `Context` for each job; scripts and their tests use nothing else of the engine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from PIL import Image

from modules.core.errors import BadRequest, EaselError
from modules.core.types import JsonObject
from modules.generate.request import Generation, Img2Img
from modules.generate.scripts.progress import Part, Total
from modules.generate.scripts.registry import Menus, Tab
from modules.imaging.inputs import Inputs
from modules.imaging.overlay import flattened
from modules.imaging.policy import Kind

if TYPE_CHECKING:
    from modules.generate.moments import Sampling
    from modules.generate.studio import Control
    from modules.settings.options import Snapshot

Request: TypeAlias = Generation

RANDOM_SEEDS = 4294967294  # random seeds are below this, as in A1111


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """How a cell differs from a plain request.

    facts: for the infotext of its pictures, before those of sampling; titles: further infotexts of the first picture
    under the settings of the job, each with facts of its own (A1111 writes a plot's text when the cell's own settings
    are gone again); settings: for the cell alone, beside the request's. begin steps in before sampling, finish changes
    a finished picture; what these do is told by `facts` and `settings`.
    """

    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    titles: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    begin: Callable[[Sampling], None] | None = None
    finish: Callable[[Image.Image], Image.Image] | None = None

    def to_json(self) -> JsonObject:
        """What the cell's fingerprint is made of."""
        return {"facts": self.facts, "titles": self.titles, "settings": self.settings}


PLAIN = Change()


class Maker(Protocol):
    """Makes the pictures of a request -> the result of `generate.run.make`, with "titles" (name -> infotext)."""

    def __call__(
        self, request: Request, options: Snapshot, control: Control, change: Change, *, number: int
    ) -> JsonObject: ...


class Keeper(Protocol):
    """Writes a picture of the script's own -> its entry among the result's pictures (see `pictures.Keeper`)."""

    def __call__(
        self, image: Image.Image, infotext: str, *, made: Made, request: Request, kind: Kind, saved: bool, basename: str
    ) -> JsonObject: ...


class Upscale(Protocol):
    """A picture `scale` times as large, by the upscaler of this name. Raises NotFound."""

    def __call__(self, image: Image.Image, scale: float, name: str) -> Image.Image: ...


class Finished(Protocol):
    """The cells of this job that are on the disk (`jobs.cells.Cells`)."""

    def get(self, job_id: str, number: int, *, asked: str) -> JsonObject | None: ...
    def put(self, job_id: str, number: int, result: JsonObject, *, asked: str) -> None: ...


@dataclasses.dataclass(frozen=True)
class Made:
    """What a cell made: entries of its pictures (see `generate.save.Kept`), A1111's info, remarks."""

    result: JsonObject

    @property
    def pictures(self) -> list[JsonObject]:
        return list(self.result["pictures"])

    @property
    def info(self) -> JsonObject:
        return dict(self.result["info"])

    @property
    def infotexts(self) -> list[str]:
        return [str(picture["infotext"]) for picture in self.pictures]

    @property
    def seed(self) -> int:
        return int(self.info["seed"])

    def title(self, name: str) -> str:
        """The infotext that `Change.titles` asked for under this name."""
        return str(self.result.get("titles", {}).get(name, ""))

    def image(self, index: int = 0) -> Image.Image:
        """A picture as it was made, whatever format its file has. Raises EaselError when it is gone."""
        return opened(self.pictures[index])

    def images(self) -> list[Image.Image]:
        return [opened(picture) for picture in self.pictures]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What a script gives back: pictures in the order of the answer, and A1111's info about them."""

    pictures: Sequence[JsonObject]
    info: JsonObject


class Context:
    """A script's view of the engine. `notes` are remarks for the user; `inputs` are where pictures lie that cells start
    from; `upscale` enlarges.
    """

    def __init__(
        self,
        *,
        tab: Tab,
        title: str,
        options: Snapshot,
        menus: Menus,
        make: Maker,
        keep: Keeper,
        finished: Finished,
        inputs: Inputs,
        upscale: Upscale,
        job_id: str,
        control: Control,
        entropy: int,
    ) -> None:
        """options: the settings of now, without those of the request; entropy: what everything random comes from."""
        self.tab = tab
        self.title = title
        self.options = options
        self.menus = menus
        self.inputs = inputs
        self.upscale = upscale
        self.random = random.Random(entropy)
        self.notes: list[str] = []
        self._make = make
        self._keep = keep
        self._finished = finished
        self._job_id = job_id
        self._control = control
        self._entropy = entropy
        self._number = 0
        self._total = Total(control)

    @property
    def interrupted(self) -> bool:
        """The job shall end with what there is."""
        return self._control.interrupted

    @property
    def skipped(self) -> bool:
        """The newest cell was ended early at somebody's wish."""
        return self._control.skipped

    def expect(self, cells: int, *, batches: int) -> None:
        """There will be so many cells of so many batches each: for the progress bar. Raises nothing."""
        self._total.expect(cells * batches)

    def picture(self, request: Img2Img) -> Image.Image:
        """The first picture that a request starts from, without transparency. Raises NotFound, BadRequest."""
        options = self.options.overlay(request.override_settings)
        image = self.inputs.open(request.init_images[0], field="init_images")
        return flattened(image, options["img2img_background_color"])

    def seeded(self, request: Request) -> Request:
        """The request with its seeds of -1 replaced; the same ones when the job runs again."""
        seed, subseed = (self.random.randrange(RANDOM_SEEDS) for _ in range(2))
        return _with_seeds(request, seed, subseed)

    def make(self, request: Request, change: Change = PLAIN, *, text: str = "") -> Made:
        """The next cell; from the disk, if this job made it before it was killed. text: what is going on, in words.

        The request's `override_settings` hold for the cell. Interrupted cells keep what is there and are not
        remembered. Raises what `generate.run.make` raises.
        """
        number, self._number = self._number, self._number + 1
        request = self._fixed(request, number)
        options = self.options.overlay({**request.override_settings, **change.settings})
        asked = _fingerprint({"request": request.to_json(), "options": options.changed(), **change.to_json()})
        found = self._finished.get(self._job_id, number, asked=asked)
        if found is not None and all(Path(_source(picture)).is_file() for picture in found["pictures"]):
            self._total.skip(request.n_iter)
            return Made(found)
        part = Part(self._total, text)
        result = json.loads(json.dumps(self._make(request, options, part, change, number=number)))
        if not (self.interrupted or part.cut_short):
            self._finished.put(self._job_id, number, result, asked=asked)
        self.notes += [note for note in result["comments"] if note not in self.notes]
        self._total.skip(request.n_iter, done=True)
        return Made(result)

    def keep(
        self,
        image: Image.Image,
        infotext: str,
        *,
        made: Made,
        request: Request,
        kind: Kind = "grid",
        saved: bool | None = None,
        basename: str = "",
    ) -> JsonObject:
        """Write a picture that the script put together -> its entry for the result.

        made: the cell whose facts its file name may tell; saved: among the user's pictures, None = as options and
        request say; basename: the beginning of the name, "" for the usual one.
        """
        if saved is None:
            options, key, refused = (
                self.options.overlay(request.override_settings),
                f"{kind}_save",
                request.do_not_save_grid,
            )
            if kind == "sample":
                key, refused = "samples_save", request.do_not_save_samples
            saved = bool(options[key]) and not refused
        return self._keep(image, infotext, made=made, request=request, kind=kind, saved=saved, basename=basename)

    def _fixed(self, request: Request, number: int) -> Request:
        """Seeds that are still -1 become random ones of this cell."""
        chance = random.Random(f"{self._entropy}/{number}")
        seed, subseed = (chance.randrange(RANDOM_SEEDS) for _ in range(2))
        return _with_seeds(request, seed, subseed)


def _with_seeds(request: Request, seed: int, subseed: int) -> Request:
    """The request with these seeds in place of -1."""
    return dataclasses.replace(
        request,
        seed=seed if request.seed == -1 else request.seed,
        subseed=subseed if request.subseed == -1 else request.subseed,
    )


def needs_img2img(request: Request) -> Img2Img:
    """The request of a script that works on a picture. Raises BadRequest where there is none."""
    if not isinstance(request, Img2Img) or not request.init_images:
        raise BadRequest("init_images: this script works on a picture; give one.", field="init_images")
    return request


def opened(picture: Mapping[str, Any]) -> Image.Image:
    """The picture of an entry, loaded, as it was before a lossy format. Raises EaselError."""
    path = _source(picture)
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except OSError as error:
        raise EaselError(f"The picture {path} of an earlier cell cannot be read any more: {error}") from error


def _source(picture: Mapping[str, Any]) -> str:
    return str(picture.get("lossless") or picture["path"])


def _fingerprint(asked: JsonObject) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
