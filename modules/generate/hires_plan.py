"""What hires fix will do, worked out beforehand: how large, by which upscaler, with which words and which sampler.

A first pass makes a small picture, it is enlarged, a second pass goes over the result. `plan.make` calls `planned`,
`generate.hires` does what it says. Pure arithmetic and look-ups; the sizes are those of A1111.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from modules.core.errors import BadRequest, DamagedFile, NotFound
from modules.generate import course, words
from modules.generate.course import SCHEDULE, Course, unless
from modules.generate.request import Txt2Img
from modules.generate.words import Words
from modules.imaging.upscale import LATENT_MODES
from modules.loading import families
from modules.loading.library import Checkpoint, Library
from modules.loading.vaes import VaeFile
from modules.prompts.infotext import about_512_squared
from modules.prompts.styles import StyleBook
from modules.samplers.catalog import Catalog

if TYPE_CHECKING:
    from modules.loading.upscale.catalog import Upscaler

FACTOR = 8
"""Pixels a latent pixel."""
LONGEST_SIDE = 16384
USUAL_STRENGTH = 0.75
"""How much of the first picture the second pass may change where a request does not say."""
USUAL_MODE = "Latent"
FULL = "Full"
"""How pictures are encoded, unless the option `sd_vae_encode_method` says otherwise."""
_SAME = ("", "use same checkpoint", "use same sampler", "use same scheduler")
"""What A1111's menus and infotexts say for "as in the first pass"."""


class Finder(Protocol):
    """Knows picture upscalers (`loading.upscale.catalog.Upscalers`)."""

    def find(self, name: str, *, field: str = ...) -> Upscaler: ...
    def names(self) -> list[str]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """Where hires fix goes. scaled (width, height): pixels that the first picture is enlarged to, in its proportions;
    cut (x, y): latent pixels that are then cut away, half at each side, to reach a size of other proportions.
    """

    scaled: tuple[int, int]
    cut: tuple[int, int] = (0, 0)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the finished picture in pixels: multiples of 8."""
        width, height = ((side // FACTOR - cut) * FACTOR for side, cut in zip(self.scaled, self.cut, strict=True))
        return width, height


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hires:
    """The second pass. upscaler: a key of `LATENT_MODES` or the name of a picture upscaler; steps: those done in the
    second pass; strength 0..1: how much it may change; checkpoint: None = that of the first pass; given: a picture
    takes the first pass's place; course: how it is sampled; prompts: one a picture of the job. facts, notes: for
    the infotext, under A1111's names and in its order: of the request, and what the second pass adds. The two prompts
    keep a place in facts and are filled in for each picture (`told_words`).
    """

    target: Target
    upscaler: str
    steps: int
    strength: float
    checkpoint: Checkpoint | None
    vae: VaeFile | None
    given: bool
    course: Course
    notes: Mapping[str, Any]
    facts: Mapping[str, Any]
    prompts: tuple[str, ...]
    negative_prompts: tuple[str, ...]

    @property
    def latent(self) -> bool:
        """Whether latents are stretched, not the picture."""
        return self.upscaler in LATENT_MODES


def other(name: str | None) -> str | None:
    """A name, or None where it asks for what the first pass has."""
    return None if name is None or name.strip().casefold() in _SAME else name


def strength(request: Txt2Img) -> float:
    return USUAL_STRENGTH if request.denoising_strength is None else request.denoising_strength


def sized(request: Txt2Img, options: Mapping[str, Any]) -> Txt2Img:
    """The request with width and height of the first pass, after A1111's two older ways to ask for hires fix.

    Raises BadRequest.
    """
    first = request.firstphase_width, request.firstphase_height
    if any(first):
        if min(first) < FACTOR:
            raise BadRequest(
                f"firstphase_width and firstphase_height belong together, at least {FACTOR} each;"
                f" not {first[0]} and {first[1]}.",
                field="firstphase_width",
            )
        request = dataclasses.replace(request, width=first[0], height=first[1])
    if not (request.enable_hr and options["use_old_hires_fix_width_height"]):
        return request
    width, height = about_512_squared(request.width, request.height)
    return dataclasses.replace(
        request, width=width, height=height, hr_resize_x=request.width, hr_resize_y=request.height
    )


def target(width: int, height: int, *, scale: float, resize: tuple[int, int]) -> Target:
    """Where a first pass of this size goes: to `resize` (x, y) pixels, where 0 follows from the proportions, or with
    (0, 0) to `scale` times its size. Raises BadRequest naming the field.
    """
    if resize == (0, 0):
        found = Target(scaled=(int(width * scale), int(height * scale)))
        field, asked = "hr_scale", f"{scale:g}"
    else:
        found = _resized(width, height, *resize)
        field, asked = "hr_resize_y" if resize[0] == 0 else "hr_resize_x", f"{resize[0]}x{resize[1]}"
    if min(found.size) < FACTOR or max(found.scaled) > LONGEST_SIDE:
        reached = "x".join(str(side) for side in found.scaled)
        raise BadRequest(
            f"{field} {asked} would enlarge {width}x{height} to {reached}; sides must be {FACTOR} to {LONGEST_SIDE}.",
            field=field,
        )
    return found


def _resized(width: int, height: int, x: int, y: int) -> Target:
    by_width, by_height = (x, x * height // width), (y * width // height, y)
    if y == 0:
        return Target(scaled=by_width)
    if x == 0:
        return Target(scaled=by_height)
    scaled = by_width if width / height < x / y else by_height
    return Target(scaled=scaled, cut=((scaled[0] - x) // FACTOR, (scaled[1] - y) // FACTOR))


def upscaler(name: str | None, pictures: Finder) -> str:
    """The upscaler of this name in its own spelling; none is `USUAL_MODE`. Raises NotFound(field="hr_upscaler")."""
    if not name:
        return USUAL_MODE
    wanted = name.strip().casefold()
    for mode in LATENT_MODES:
        if mode.casefold() == wanted:
            return mode
    try:
        return pictures.find(name, field="hr_upscaler").name
    except NotFound as error:
        known = [*LATENT_MODES, *pictures.names()]
        raise NotFound("Upscaler", name, known, field="hr_upscaler", hint=error.hint) from error


def check(request: Txt2Img) -> None:
    """What no later part could make sense of. Raises BadRequest naming the field."""
    if not 0 <= strength(request) <= 1:
        raise BadRequest(f"denoising_strength must be 0 to 1, not {strength(request)}.", field="denoising_strength")
    if request.hr_cfg is not None and not math.isfinite(request.hr_cfg):
        raise BadRequest("hr_cfg must be a finite number.", field="hr_cfg")
    for field in ("hr_second_pass_steps", "hr_resize_x", "hr_resize_y"):
        if getattr(request, field) < 0:
            raise BadRequest(f"{field} must be at least 0, not {getattr(request, field)}.", field=field)
    if not 0 <= request.hr_scale <= LONGEST_SIDE:
        raise BadRequest(f"hr_scale must be 0 to {LONGEST_SIDE}, not {request.hr_scale}.", field="hr_scale")


def check_fit(first: Checkpoint, second: Checkpoint) -> None:
    """Raises BadRequest where the latents of one model are nothing to the other."""
    if families.space(first.family) != families.space(second.family):
        raise BadRequest(
            f"{second.title} does not know the latents of {first.title}: as hr_upscaler take one of pictures,"
            " such as Lanczos.",
            field="hr_upscaler",
        )


def planned(
    request: Txt2Img,
    options: Mapping[str, Any],
    first: Course,
    *,
    base: Checkpoint,
    library: Library,
    catalog: Catalog,
    styles: StyleBook,
    upscalers: Finder,
) -> Hires:
    """The second pass of a request after the first one. base: the first one's checkpoint.

    Raises BadRequest, NotFound.
    """
    check(request)
    mode = upscaler(request.hr_upscaler, upscalers)
    wanted = other(request.hr_checkpoint_name)
    checkpoint = _found(library, wanted) if wanted else None
    if checkpoint and mode in LATENT_MODES:
        check_fit(base, checkpoint)
    way, text = _course(request, options, catalog, first), _words(request, options, styles)
    given, count = request.firstpass_image is not None, request.batch_size * request.n_iter
    encoding = options["sd_vae_encode_method"] if given or mode not in LATENT_MODES else FULL
    schedule, before = way.notes.get(SCHEDULE), None if given else first.notes.get(SCHEDULE)
    return Hires(
        target=target(
            request.width, request.height, scale=request.hr_scale, resize=(request.hr_resize_x, request.hr_resize_y)
        ),
        upscaler=mode,
        steps=request.hr_second_pass_steps or request.steps,
        strength=strength(request),
        checkpoint=checkpoint,
        vae=library.vaes.chosen(checkpoint.path, options) if checkpoint else None,
        given=given,
        course=way,
        notes={
            **unless("VAE Encoder", encoding, FULL),
            **{name: value for name, value in way.notes.items() if name != SCHEDULE},
        },
        facts={
            "Denoising strength": strength(request),
            **({"Hires checkpoint": _short_title(checkpoint)} if checkpoint else {}),
            **({"Hires sampler": way.sampler.name} if way.sampler is not first.sampler else {}),
            "Hires prompt": None,
            "Hires negative prompt": None,
            "Hires schedule type": None if schedule == before else schedule,
            **_told_size(request),
            **unless("Hires steps", request.hr_second_pass_steps, 0),
            **({"Hires upscaler": mode} if request.hr_upscaler else {}),
            **({} if request.hr_cfg in (None, request.cfg_scale) else {"Hires CFG Scale": request.hr_cfg}),
        },
        prompts=(text.prompt,) * count,
        negative_prompts=(text.negative_prompt,) * count,
    )


def _found(library: Library, name: str) -> Checkpoint:
    try:
        return library.find(name, field="hr_checkpoint_name")
    except DamagedFile as error:
        raise BadRequest(f"hr_checkpoint_name: {error}", field="hr_checkpoint_name") from error


def _course(request: Txt2Img, options: Mapping[str, Any], catalog: Catalog, first: Course) -> Course:
    named = dataclasses.replace(
        request,
        hr_sampler_name=other(request.hr_sampler_name),
        hr_scheduler=other(request.hr_scheduler),
        cfg_scale=request.cfg_scale if request.hr_cfg is None else request.hr_cfg,
    )
    fields = {"sampler_field": "hr_sampler_name", "scheduler_field": "hr_scheduler"}
    return course.planned(named, options, catalog, after=first, over_picture=True, **fields)


def _words(request: Txt2Img, options: Mapping[str, Any], styles: StyleBook) -> Words:
    own = dataclasses.replace(
        request,
        prompt=request.hr_prompt or request.prompt,
        negative_prompt=request.hr_negative_prompt or request.negative_prompt,
    )
    return words.asked(own, options, styles, field="hr_prompt")


def _told_size(request: Txt2Img) -> dict[str, Any]:
    resize = request.hr_resize_x, request.hr_resize_y
    return {"Hires resize": f"{resize[0]}x{resize[1]}"} if any(resize) else {"Hires upscale": request.hr_scale}


def with_checkpoint(hires: Hires, checkpoint: Checkpoint) -> Hires:
    """With its checkpoint, now that its hash is known."""
    known = {**hires.facts, "Hires checkpoint": _short_title(checkpoint)}
    return dataclasses.replace(hires, checkpoint=checkpoint, facts=known)


def told_words(hires: Hires, index: int, prompt: str, negative_prompt: str) -> dict[str, str | None]:
    """The second pass's prompts of picture `index` for the infotext: only those that are not the first pass's."""
    second = {"Hires prompt": hires.prompts[index], "Hires negative prompt": hires.negative_prompts[index]}
    first = {"Hires prompt": prompt, "Hires negative prompt": negative_prompt}
    return {name: None if text == first[name] else text for name, text in second.items()}


def _short_title(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.short_name} [{checkpoint.hash}]" if checkpoint.hash else checkpoint.short_name
