"""The second pass of hires fix: the pictures of a batch enlarged, as latents or as pictures, and gone over again.

`run` calls `again` after the first pass, or after `given` in its place; `hires_plan` worked out what is to be done.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from modules.core.errors import Interrupted
from modules.generate import conditioning, equip, moments, pixels, program, sampling
from modules.generate.guidance import Program
from modules.generate.hires_plan import FACTOR, Target
from modules.generate.plan import Plan
from modules.generate.request import Txt2Img
from modules.generate.sampling import Beginning, Sample
from modules.generate.studio import Control, Studio
from modules.imaging.upscale import LATENT_MODES
from modules.loading.loader import Model
from modules.loading.vae import of_image, to_image
from modules.prompts import editing
from modules.prompts.editing import Timeline

Aside = Callable[[Plan, int, Image.Image, Mapping[str, Any], str], None]
"""Told of pictures half-way: plan, number, picture, what the infotext says of it, the ending of its file's name."""
BEFORE = "-before-highres-fix"


@dataclasses.dataclass(frozen=True, kw_only=True)
class First:
    """What the first pass left. sample: its latents; picture: what was given in its place; prompts: those of the
    second pass, if they had to be encoded before the first (`early`).
    """

    sample: Sample
    picture: Image.Image | None = None
    prompts: Program | None = None


class Again(NamedTuple):
    """After the second pass: the plan with its remarks, and what became of the batch."""

    plan: Plan
    sample: Sample


def second_plan(work: Plan) -> Plan:
    """The plan of the second pass; its `extra` is only what this pass adds to the infotext."""
    hires = work.hires
    assert hires is not None
    width, height = hires.target.size
    return dataclasses.replace(
        work,
        request=dataclasses.replace(work.request, steps=hires.steps),
        checkpoint=hires.checkpoint or work.checkpoint,
        vae=hires.vae if hires.checkpoint else work.vae,
        prompts=hires.prompts,
        negative_prompts=hires.negative_prompts,
        width=width,
        height=height,
        scene=hires.target.scaled,
        sampler=hires.course.sampler,
        scheduler=hires.course.scheduler,
        discard_penultimate=hires.course.discard_penultimate,
        parameters=hires.course.parameters,
        guidance=hires.course.guidance,
        opening={},
        extra=hires.notes,
        strength=hires.strength,
        exact_steps=True,
        hires=None,
        earlier_calls=work.calls,
    )


def following(before: Plan, after: Plan) -> Plan:
    """The plan with new prompts also in the second pass, where that had the same ones as the first."""
    hires = after.hires
    if hires is None:
        return after

    def new(own: tuple[str, ...], old: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(there if text == here else text for text, here, there in zip(own, old, now, strict=True))

    prompts = new(hires.prompts, before.prompts, after.prompts)
    negatives = new(hires.negative_prompts, before.negative_prompts, after.negative_prompts)
    return dataclasses.replace(after, hires=dataclasses.replace(hires, prompts=prompts, negative_prompts=negatives))


def steps(work: Plan) -> int:
    """Steps of a batch, over both passes."""
    first = 0 if _given(work) else work.steps[1]
    return first + (work.hires.steps if work.hires else 0)


def first_picture(studio: Studio, work: Plan) -> Image.Image | None:
    """The RGB picture that takes the first pass's place. Raises NotFound when it is not there any more."""
    name = _given(work)
    return studio.inputs.open(name, field="firstpass_image").convert("RGB") if name else None


def given(studio: Studio, model: Model, work: Plan, picture: Image.Image) -> Sample:
    """As if the first pass had made a picture, as every one of the batch."""
    model.residency.use("vae")
    latent = pixels.encoder(studio, model, work)(of_image(picture)).to(model.placement.device)
    latents = latent.expand(work.request.batch_size, -1, -1, -1)
    return Sample(latents=latents, extra=work.extra, complete=True, model=model)


def early(studio: Studio, model: Model, work: Plan, batch: range) -> Program | None:
    """The second pass's prompts as the networks of the first pass read them, where the option
    `hires_fix_use_firstpass_conds` wants that; call it while those are on the model.
    """
    hires = work.hires
    if hires is None or hires.checkpoint is not None or not work.options["hires_fix_use_firstpass_conds"]:
        return None
    second = second_plan(work)
    return _encoded(studio, model, second, equip.without_tags(second.prompts[batch.start : batch.stop]), batch)


def again(studio: Studio, work: Plan, batch: range, index: int, first: First, control: Control, aside: Aside) -> Again:
    """Enlarge what the first pass left and go over it. Interrupted or skipped before that, the first pass is kept.

    Raises BadRequest where the latents do not fit the second model, NotFound, DamagedFile.
    """
    made, second = first.sample.model, second_plan(work)
    kept = Again(work, dataclasses.replace(first.sample, complete=False))
    if control.interrupted or control.skipped:
        return kept
    pictures = _pictures(studio, work, batch, first, aside)
    model = made if made.checkpoint.path == second.checkpoint.path else studio.model(second, others=1)
    try:
        latents, enlarged = _enlarged(studio, model, work, first.sample.latents, pictures, control)
    except Interrupted:
        made.residency.enter()  # it was sent away where the second pass has another model
        return kept
    equipped = equip.equip(studio.networks, studio.moments, model, second, batch, index)
    second, notes = equipped.plan, _timeline_notes(work, second, equipped.prompts, batch)

    def read(other: Model) -> Program:
        equip.equip_also(studio.networks, other, second, batch)
        return _encoded(studio, other, second, equipped.prompts, batch)

    concat = _concat(studio, model, second, latents, enlarged)
    event = moments.Enlarged(plan=second, index=index, latents=latents, program=first.prompts or read(model))
    studio.moments.enlarged.fire(event)
    begin = Beginning(latents=event.latents, concat=concat, done=0 if first.picture else work.steps[1])
    sample = sampling.sample(studio, model, second, batch, event.program, control, begin, read)
    extra = joined(first.sample.extra, notes | dict(sample.extra))
    told = dataclasses.replace(
        work,
        notes=tuple(dict.fromkeys((*work.notes, *second.notes))),
        shows_mask=work.shows_mask or conditioning.is_inpainting(model),
    )
    return Again(told, dataclasses.replace(sample, extra=extra))


def stretched(latents: Tensor, target: Target, mode: str) -> Tensor:
    """Latents (B, C, h, w) at the target's scaled size -> (B, C, H, W); mode: a key of `LATENT_MODES`."""
    width, height = (side // FACTOR for side in target.scaled)
    way, antialias = LATENT_MODES[mode]
    return functional.interpolate(latents, size=(height, width), mode=way, antialias=antialias)


def cut(latents: Tensor, target: Target) -> Tensor:
    """Without the edges (B, C, H, W) that are too much; of an odd number the larger half goes at the end."""
    x, y = target.cut
    height, width = latents.shape[-2:]
    return latents[..., y // 2 : height - (y + 1) // 2, x // 2 : width - (x + 1) // 2]


def joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """What the infotext says of both passes, in A1111's order: the words that it counts are those of the first, LoRAs
    those of both.
    """
    loras = {text: None for facts in (first, second) for text in str(facts.get("Lora hashes", "")).split(", ") if text}
    result = {**first, **{name: value for name, value in second.items() if name != "TI hashes"}}
    return result | ({"Lora hashes": ", ".join(loras)} if loras else {})


def _given(work: Plan) -> str | None:
    request = work.request
    return request.firstpass_image if work.hires and isinstance(request, Txt2Img) else None


def _pictures(studio: Studio, work: Plan, batch: range, first: First, aside: Aside) -> list[Image.Image]:
    """The small pictures, as far as somebody wants them."""
    assert work.hires is not None
    if first.picture is not None:
        return [first.picture] * len(batch)
    shown, model = work.options["save_images_before_highres_fix"], first.sample.model
    if work.hires.latent and not shown:
        return []
    model.residency.use("vae")
    decode = pixels.decoder(studio, model, work)
    pictures = [to_image(decode(latent)) for latent in first.sample.latents]
    if shown:
        for number, picture in zip(batch, pictures, strict=True):
            aside(work, number, picture, first.sample.extra, BEFORE)
    return pictures


def _enlarged(
    studio: Studio, model: Model, work: Plan, latents: Tensor, pictures: Sequence[Image.Image], control: Control
) -> tuple[Tensor, list[Image.Image]]:
    """(latents (B, C, H, W) of the second pass's size, the pictures that they are of; none where they were stretched).

    Raises Interrupted.
    """
    hires = work.hires
    assert hires is not None
    if hires.latent:
        return cut(stretched(latents.float(), hires.target, hires.upscaler), hires.target), []

    def heard(done: int, all: int) -> None:
        if control.interrupted or control.skipped:
            raise Interrupted

    size, mode = hires.target.scaled, hires.upscaler
    control.text("Enlarging")
    try:
        sized = [studio.upscalers.to_size(each, *size, mode, work.options, on_tile=heard) for each in pictures]
    finally:
        control.text("")
    model.residency.use("vae")
    encode = pixels.encoder(studio, model, work)
    encoded = torch.stack([encode(of_image(picture)) for picture in sized]).to(model.placement.device)
    return cut(encoded, hires.target), [_cropped(picture, hires.target) for picture in sized]


def _cropped(picture: Image.Image, target: Target) -> Image.Image:
    """What `cut` leaves of it."""
    (x, y), (width, height) = target.cut, target.size
    left, top = x // 2 * FACTOR, y // 2 * FACTOR
    return picture.crop((left, top, left + width, top + height))


def _concat(
    studio: Studio, model: Model, second: Plan, latents: Tensor, pictures: Sequence[Image.Image]
) -> Tensor | None:
    """What a model with further input channels is shown (B, C', H, W): all of the picture may change."""
    if conditioning.is_inpainting(model) and second.options["inpainting_mask_weight"] < 1 and not pictures:
        model.residency.use("vae")
        pictures = [to_image(model.vae.decode(latent)) for latent in latents]
    if not pictures or conditioning.is_flat(model, studio):
        return conditioning.blank(model, second, len(latents))
    each = [conditioning.shown(studio, model, second, picture, None, rounded=True) for picture in pictures]
    found = [shown for shown in each if shown is not None]
    return torch.cat(found) if found else None


def _encoded(studio: Studio, model: Model, second: Plan, prompts: Sequence[str], batch: range) -> Program:
    model.residency.use("text")
    negatives = second.negative_prompts[batch.start : batch.stop]
    ids, empty = program.told(model.family, second), equip.blank(studio.networks, model, second)
    return program.encoded(model.text, prompts, negatives, second.text, second.timeline, ids, empty)


def _timeline_notes(work: Plan, second: Plan, prompts: Sequence[str], batch: range) -> dict[str, Any]:
    """What A1111 notes when the option `use_old_scheduling` makes a difference to the second pass."""
    if not work.options["use_old_scheduling"]:
        return {}
    old = second.timeline
    new = Timeline(steps=second.request.steps * second.sampler.calls_per_step, earlier=work.calls)
    texts = (*prompts, *second.negative_prompts[batch.start : batch.stop])
    moved = any(editing.schedule(text, old) != editing.schedule(text, new) for text in texts)
    return {"Old prompt editing timelines": True} if moved else {}
