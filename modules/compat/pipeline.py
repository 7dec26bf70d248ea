"""Drives A1111's hooks from Easel's moments: what happens to a job is shown to scripts as happening to their `p`, and
what they change of `p` is carried back into request, plan and pictures.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from modules.compat import callbacks as script_callbacks
from modules.compat import conditions, processing, prompting, results, scripting, unets, values, xyz
from modules.compat.original.unet import shown
from modules.compat.room import Frame, Room
from modules.core.errors import EaselError
from modules.generate import hires
from modules.generate.plan import Plan
from modules.imaging.overlay import Overlay
from modules.settings.options import Snapshot

if TYPE_CHECKING:
    from modules.generate import moments
    from modules.generate.guidance import Program
    from modules.generate.request import Generation

log = logging.getLogger(__name__)

OWNER = "A1111's extensions"
LATE = ("request", "guidance", "parameters", "sampler", "scheduler", "scheduler_label", "levels", "text", "options")
"""What of a plan may still change when its job is under way."""


class Pipeline:
    """The listeners. Each method's name is the moment's that it listens to."""

    def __init__(self, room: Room) -> None:
        self.room = room

    def listen(self, all_moments: moments.Moments) -> list[Callable[[], None]]:
        """Begin to listen -> what ends it."""
        names = [field.name for field in dataclasses.fields(all_moments) if hasattr(self, field.name)]
        return [getattr(all_moments, name).add(getattr(self, name), owner=OWNER) for name in names]

    # --- before a picture

    def planning(self, event: moments.Planning) -> None:
        """A job begins: its `p`, armed with the tab's scripts unless it came from process_images."""
        thread = self.room.thread
        p, thread.pending, parent = thread.pending, None, None
        if p is None:
            p = processing.of_request(self.room, event.request)
            frame = thread.frame = Frame(p=p)
            self._arm(p, event.request)
        else:
            parent = thread.frame
            frame = thread.frame = Frame(p=p, parent=parent)
        if p.scripts:
            p.scripts.before_process(p)
        request = processing.to_request(self.room, p)
        registry = self.room.app.options.registry
        wrote = {key: value for key, value in frame.options.items() if key in registry}
        event.request = dataclasses.replace(request, override_settings={**request.override_settings, **wrote})

    def _arm(self, p: Any, request: Generation) -> None:
        runner = self.room.runner(request.kind)
        arguments = runner.defaults()
        given = getattr(request, "extension_args", {}) or {}
        for script in runner.alwayson_scripts:
            sent = given.get(script.name or "")
            if isinstance(sent, Mapping):
                sent = sent.get("args")
            start, end = script.args_from or 0, script.args_to or 0
            for place, value in zip(range(start, end), sent or (), strict=False):
                arguments[place] = values.decoded(self.room, value)
        for name, value in given.get(xyz.ATTRIBUTES, {}).items():
            setattr(p, name, value)
        p.is_api = True
        p.script_args_value = arguments
        p.scripts = runner

    def planned(self, event: moments.Planned) -> None:
        """All prompts and seeds are known."""
        frame = self._frame(event.plan)
        if frame is None:
            return
        p, plan = frame.p, event.plan
        frame.plan, frame.steps = plan, plan.steps[1]
        _tell(p, plan)
        before = processing.to_request(self.room, p)
        if p.scripts:
            p.scripts.process(p)
        plan = self._replanned(frame, plan, before)
        opening = {key: None if callable(value) else value for key, value in p.extra_generation_params.items()}
        plan = dataclasses.replace(
            plan, opening={**opening, **plan.opening}, tellers=(*plan.tellers, _Teller(p).facts), **_lists(p, plan)
        )
        event.plan = frame.plan = hires.following(event.plan, plan) if plan.hires else plan

    def _replanned(self, frame: Frame, plan: Plan, before: Generation, *, late: bool = False) -> Plan:
        """The plan of what scripts made of the request."""
        after = processing.to_request(self.room, frame.p)
        registry, options = self.room.app.options.registry, plan.options
        wrote = {key: value for key, value in frame.options.items() if key in registry and value != options[key]}
        if after == before and not wrote:
            return plan
        settings = options if isinstance(options, Snapshot) else Snapshot(registry)
        try:
            settings = settings.overlay({**after.override_settings, **wrote})
            fresh = self.room.app.desk.check(after, settings)
        except EaselError as error:
            log.warning("What a script made of the request cannot be done: %s", error)
            frame.p.comment(f"An extension's change was left out: {error}")
            return plan
        if late:
            told = {**plan.extra, **{key: value for key, value in fresh.extra.items() if key in plan.extra}}
            return dataclasses.replace(plan, **{name: getattr(fresh, name) for name in LATE}, extra=told)
        same = fresh.checkpoint.path == plan.checkpoint.path
        return dataclasses.replace(
            fresh,
            checkpoint=plan.checkpoint if same else self.room.app.library.hashed(fresh.checkpoint),
            vae=plan.vae if same else self.room.app.library.vaes.hashed(fresh.vae),
            prompts=plan.prompts,
            negative_prompts=plan.negative_prompts,
            started=plan.started,
            notes=plan.notes,
        )

    def batch_starting(self, event: moments.BatchStarting) -> None:
        frame = self._frame(event.plan)
        if frame is None:
            return
        p = frame.p
        p.iteration, p.is_hr_pass = event.index, False
        p.prompts, p.negative_prompts = event.prompts, event.negative_prompts
        p.seeds, p.subseeds = event.seeds, event.subseeds
        before = processing.to_request(self.room, p)
        if p.scripts:
            p.scripts.before_process_batch(p, batch_number=event.index, **_batch(p))
        count = len(event.seeds)
        event.prompts = _fitted(p.prompts, count)
        event.negative_prompts = _fitted(p.negative_prompts, count)
        event.seeds, event.subseeds = _fitted(p.seeds, count), _fitted(p.subseeds, count)
        event.plan = frame.plan = self._replanned(frame, event.plan, before, late=True)

    def networks_applied(self, event: moments.NetworksApplied) -> None:
        """Prompts have no tags any more, and nothing is encoded yet: A1111's process_batch comes here too."""
        from modules.compat import extra_nets
        from modules.compat import model as models

        frame = self._frame(event.plan)
        if frame is None:
            return
        frame.model = event.model
        models.of(self.room, event.model).cond_stage_model.listen()
        p = frame.p
        p.prompts = event.prompts
        p.extra_network_data = extra_nets.data_of(event.tags)
        before = processing.to_request(self.room, p)
        extra_nets.activate(p, p.extra_network_data)
        if p.scripts:
            p.scripts.after_extra_networks_activate(
                p, batch_number=event.index, extra_network_data=p.extra_network_data, **_batch(p)
            )
            p.scripts.process_batch(p, batch_number=event.index, **_batch(p))
        event.prompts = _fitted(p.prompts, len(event.prompts))
        plan = self._replanned(frame, event.plan, before, late=True)
        event.plan = frame.plan = _with_negatives(plan, p, event.index)

    def batch_ready(self, event: moments.BatchReady) -> None:
        frame = self._frame(event.plan)
        if frame is None:
            return
        if prompting.replaced() and frame.model is not None:
            event.program = self._read_anew(frame, event)
        if not frame.p.is_hr_pass:
            frame.p.c, frame.p.uc = conditions.shown(event.program)

    def _read_anew(self, frame: Frame, event: moments.BatchReady) -> Program:
        """The batch's prompts as an extension's functions in `prompt_parser` read them."""
        from modules.compat import model as models

        p, facade = frame.p, models.of(self.room, frame.model)  # type: ignore[arg-type]
        steps = event.plan.steps[1] if p.is_hr_pass else event.plan.steps[0]
        old = bool(event.plan.options["use_old_scheduling"])
        size = {"width": p.width, "height": p.height}
        wanted = prompting.SdConditioning(p.prompts, **size)
        unwanted = prompting.SdConditioning(p.negative_prompts, is_negative_prompt=True, **size)
        uc = prompting.get_learned_conditioning(facade, unwanted, steps, None, old)
        c = prompting.get_multicond_learned_conditioning(facade, wanted, steps, None, old)
        return conditions.taken(event.program, c, uc)

    def sampling(self, event: moments.Sampling) -> None:
        frame = self._frame(event.plan)
        if frame is None:
            return
        from modules.compat import model as models

        p, frame.model, frame.plan = frame.p, event.model, event.plan
        frame.steps = event.plan.steps[1]
        facade = models.of(self.room, event.model)
        if self.room.last_model is not event.model:
            self.room.last_model = event.model
            self.room.callbacks.call("model_loaded", facade)
        frame.sampler = models.Sampler(p, event.plan, facade)
        p.sampler = self._made(event.plan.sampler.name, facade) or frame.sampler
        p.rng = models.rng(event)
        if "list_unets" in self.room.callbacks:
            unets.put_on(facade.model.diffusion_model)
        c, uc = conditions.shown(event.program)
        if not p.is_hr_pass:
            p.c, p.uc = c, uc
        if p.scripts and p.scripts.wants("process_before_every_sampling"):
            self._before_sampling(event, p, c, uc)

    def _made(self, name: str, facade: Any) -> Any:
        """The sampler that `sd_samplers.create_sampler` gives, which extensions put theirs around."""
        module = sys.modules.get("modules.sd_samplers")
        if module is None:
            return None
        return scripting.wrap_call(module.create_sampler, "sd_samplers", "create_sampler", name, facade)

    def _before_sampling(self, event: moments.Sampling, p: Any, c: Any, uc: Any) -> None:
        """What scripts do to noise and latents in place reaches the sampler."""
        start = event.noise if event.latents is None else event.latents
        noise, latents = event.noise.clone(), start.clone()
        p.scripts.process_before_every_sampling(p, x=start, noise=event.noise, c=c, uc=uc)
        level = event.sigmas[0].to(event.x)
        event.x = event.x + (event.noise - noise) * level
        if event.latents is not None:
            event.x = event.x + (event.latents - latents)
        event.program = conditions.taken(event.program, c, uc)

    def extra_noise(self, event: moments.ExtraNoise) -> None:
        params = script_callbacks.ExtraNoiseParams(event.noise, event.latents, event.noised)
        self.room.callbacks.call("extra_noise", params)
        event.noise = params.noise

    # --- at every call of the model

    def model_called(self, event: moments.ModelCalled) -> None:
        frame = self.room.frame
        if frame is None or frame.plan is None:
            return
        frame.step = event.call // frame.plan.sampler.calls_per_step
        if p_sampler := frame.p.sampler:
            p_sampler.at(frame.step)
        if "cfg_denoiser" not in self.room.callbacks:
            return
        given = event.conditioning
        shared = torch.cat([event.x[list(given.owners)], event.x])
        text, uncond = conditions.text_rows(given.positive), conditions.text_rows(given.negative)
        image = conditions.image_rows(given, event.x)
        sigma = event.sigma.to(event.x).expand(len(shared)).clone()
        params = script_callbacks.CFGDenoiserParams(
            shared,
            image,
            sigma,
            frame.step,
            frame.steps,
            text,
            uncond,
            frame.p.sampler and frame.p.sampler.model_wrap_cfg,
        )
        copies = (shared.clone(), sigma.clone())
        self.room.callbacks.call("cfg_denoiser", params)
        if not torch.equal(params.x, copies[0]):
            event.rows = params.x
        if not torch.equal(params.sigma, copies[1]):
            event.sigma = params.sigma[0].to(event.sigma)
        event.conditioning = conditions.with_image_rows(
            dataclasses.replace(
                given,
                positive=conditions.with_text_rows(given.positive, params.text_cond, text),
                negative=conditions.with_text_rows(given.negative, params.text_uncond, uncond),
            ),
            params.image_cond,
        )
        frame.alone = False

    def model_answered(self, event: moments.ModelAnswered) -> None:
        frame = self.room.frame
        if frame is None:
            return
        replaced = frame.p.sampler and "combine_denoised" in vars(frame.p.sampler.model_wrap_cfg)
        frame.rows = None
        if not replaced and "cfg_denoised" not in self.room.callbacks:
            return
        prompts = event.positive
        negative = prompts[: len(event.x)] if event.negative is None else event.negative
        frame.rows = rows = torch.cat([prompts, negative])
        inner = frame.p.sampler and frame.p.sampler.model_wrap
        params = script_callbacks.CFGDenoisedParams(rows, frame.step, frame.steps, inner)
        self.room.callbacks.call("cfg_denoised", params)
        frame.rows = params.x
        event.positive = params.x[: len(prompts)]
        if event.negative is not None:
            event.negative = params.x[len(prompts) :]

    def guided(self, event: moments.Guided) -> None:
        from modules.compat.model import Sampler

        frame = self.room.frame
        if frame is not None and frame.rows is not None:
            self._combine(frame, event)
        if frame is not None and frame.p.sampler and Sampler.callback_state is not _untouched():
            state: dict[str, Any] = {"i": frame.step, "x": event.x, "sigma": event.sigma, "sigma_hat": event.sigma}
            state["denoised"] = event.denoised
            frame.p.sampler.callback_state(state)
            event.denoised = state["denoised"]
        if frame is None or "cfg_after_cfg" not in self.room.callbacks:
            return
        params = script_callbacks.AfterCFGCallbackParams(event.denoised, frame.step, frame.steps)
        self.room.callbacks.call("cfg_after_cfg", params)
        event.denoised = params.x

    def _combine(self, frame: Frame, event: moments.Guided) -> None:
        """By an extension's `combine_denoised`, where one stands in the sampler."""
        other = vars(frame.p.sampler.model_wrap_cfg).get("combine_denoised") if frame.p.sampler else None
        if other is None or event.negative is None:
            return
        said: list[list[tuple[int, float]]] = [[] for _ in event.x]
        for row, (owner, weight) in enumerate(zip(event.conditioning.owners, event.conditioning.weights, strict=True)):
            said[owner].append((row, weight))
        negative = conditions.text_rows(event.conditioning.negative)
        event.denoised = other(frame.rows, said, negative, event.scale)

    def mask_blending(self, event: moments.MaskBlending) -> None:
        frame = self.room.frame
        if frame is None or not frame.p.scripts or not frame.p.scripts.wants("on_mask_blend"):
            return
        denoiser = None if event.sigma is None else frame.p.sampler and frame.p.sampler.model_wrap_cfg
        asked = scripting.MaskBlendArgs(
            event.current, event.mask, event.picture, 1 - event.mask, event.blended, denoiser, event.sigma
        )
        frame.p.scripts.on_mask_blend(frame.p, asked)
        event.blended = asked.blended_latent

    # --- after sampling

    def sampled(self, event: moments.Sampled) -> None:
        frame = self._frame(event.plan)
        if frame is not None and frame.p.scripts:
            params = scripting.PostSampleArgs(event.latents)
            frame.p.scripts.post_sample(frame.p, params)
            event.latents = params.samples

    def enlarged(self, event: moments.Enlarged) -> None:
        frame = self._frame(event.plan)
        if frame is None:
            return
        frame.p.is_hr_pass = True
        frame.p.hr_c, frame.p.hr_uc = conditions.shown(event.program)
        if frame.p.scripts:
            frame.p.scripts.before_hr(frame.p)

    def decoded(self, event: moments.Decoded) -> None:
        frame = self._frame(event.plan)
        if frame is None or not frame.p.scripts:
            return
        p = frame.p
        p.is_hr_pass = False
        if p.scripts.wants("postprocess_batch"):
            together = torch.stack(event.pixels)
            p.scripts.postprocess_batch(p, together, batch_number=event.index)
            event.pixels = list(together)
        params = scripting.PostprocessBatchListArgs(list(event.pixels))
        p.scripts.postprocess_batch_list(p, params, batch_number=event.index)
        if len(params.images) != len(event.pixels):
            log.warning("A script's postprocess_batch_list changed the number of pictures; those beyond are left out.")
        event.pixels = _fitted(list(params.images), len(event.pixels))

    def picture_ready(self, event: moments.PictureReady) -> None:
        frame = self._frame(event.plan)
        if frame is not None and frame.p.scripts:
            frame.p.batch_index = event.index % event.plan.request.batch_size
            params = scripting.PostprocessImageArgs(event.image)
            frame.p.scripts.postprocess_image(frame.p, params)
            event.image = params.image

    def overlaying(self, event: moments.Overlaying) -> None:
        frame = self._frame(event.plan)
        if frame is None or not frame.p.scripts or event.overlay is None:
            return
        over = event.overlay
        index = event.index % event.plan.request.batch_size
        params = scripting.PostProcessMaskOverlayArgs(index, over.mask, over.image)
        frame.p.scripts.postprocess_maskoverlay(frame.p, params)
        if params.overlay_image is None:
            event.overlay = None
        elif params.overlay_image is not over.image or params.mask_for_overlay is not over.mask:
            event.overlay = Overlay(image=params.overlay_image, mask=params.mask_for_overlay, place=over.place)

    def composited(self, event: moments.Composited) -> None:
        frame = self._frame(event.plan)
        if frame is not None and frame.p.scripts:
            params = scripting.PostprocessImageArgs(event.image)
            frame.p.scripts.postprocess_image_after_composite(frame.p, params)
            event.image = params.image

    def arranging(self, event: moments.Arranging) -> None:
        if "image_grid" in self.room.callbacks:
            columns = -(-len(event.images) // max(1, event.rows))
            params = script_callbacks.ImageGridLoopParams(event.images, columns, event.rows)
            self.room.callbacks.call("image_grid", params)
            event.images, event.rows = list(params.imgs), params.rows

    def saving(self, event: moments.Saving) -> None:
        frame = self.room.frame
        p = frame.p if frame else None
        if "before_image_saved" in self.room.callbacks:
            info = {"parameters": event.infotext}
            params = script_callbacks.ImageSaveParams(event.image, p, self._expected(frame), info)
            self.room.callbacks.call("before_image_saved", params)
            event.image, event.infotext = params.image, params.pnginfo.get("parameters", event.infotext)
        if frame is not None:
            frame.saving = event.image

    def _expected(self, frame: Frame | None) -> str:
        """About where a picture will lie: its number is given when it is written."""
        folder = self.room.app.paths.outputs
        if frame is None or frame.plan is None:
            return str(folder / "00000.png")
        options = frame.plan.options
        folder = self.room.app.paths.data / (frame.p.outpath_samples or "outputs")
        seed = frame.plan.seeds[0]
        return str(folder / f"00000-{seed}.{options['samples_format']}")

    def saved(self, event: moments.Saved) -> None:
        frame = self.room.frame
        p, image = (frame.p, frame.saving) if frame else (None, None)
        if frame is not None and image is not None:
            frame.pictures[str(event.path)] = image
        if "image_saved" in self.room.callbacks:
            info = {"parameters": event.infotext}
            self.room.callbacks.call("image_saved", script_callbacks.ImageSaveParams(image, p, str(event.path), info))

    def finished(self, event: moments.Finished) -> None:
        """The job's result, as Processed to those who may change it."""
        frame = self._frame(event.plan)
        if frame is None:
            return
        from modules.compat import extra_nets

        extra_nets.deactivate(frame.p, frame.p.extra_network_data)
        if frame.model is not None and "list_unets" in self.room.callbacks:
            unets.take_off(shown(frame.model.unet))
        results.finish(self.room, frame, event)
        if frame.parent is None:
            self.room.thread.frame = None

    def _frame(self, plan: Plan) -> Frame | None:
        return self.room.frame


@functools.cache
def _untouched() -> Any:
    from modules.compat import model

    return model.UNTOUCHED


class _Teller:
    """Facts of `p.extra_generation_params` for a picture's infotext, asked when it is written."""

    def __init__(self, p: Any) -> None:
        self._p = p

    def facts(self, plan: Plan, index: int) -> dict[str, Any]:
        p = self._p
        told: dict[str, Any] = {}
        for key, value in list(p.extra_generation_params.items()):
            told[key] = self._value(key, value, plan, index)
        for name, texts in (("Prompt", p.all_prompts), ("Negative prompt", p.all_negative_prompts)):
            if texts and index < len(texts):
                told[name] = texts[index]
        return told

    def _value(self, key: str, value: Any, plan: Plan, index: int) -> Any:
        p = self._p
        if isinstance(value, list):
            return value[index] if index < len(value) else None
        if not callable(value):
            return value
        known = {
            **{"p": p, "index": index, "iteration": p.iteration, "position_in_batch": index % max(1, p.batch_size)},
            **{"all_prompts": p.all_prompts, "all_negative_prompts": p.all_negative_prompts},
            **{"all_seeds": p.all_seeds, "all_subseeds": p.all_subseeds, "use_main_prompt": False, "comments": None},
            **{"prompt_text": plan.prompts[index], "negative_prompt": plan.negative_prompts[index]},
            "generation_params": dict(plan.opening),
        }
        return scripting.wrap_call(value, key, "extra_generation_params", **known)


def _tell(p: Any, plan: Plan) -> None:
    """What planning found out."""
    lists = isinstance(p.prompt, list), isinstance(p.negative_prompt, list), isinstance(p.seed, list)
    p.all_prompts = list(p.prompt) if lists[0] else list(plan.prompts)
    p.all_negative_prompts = list(p.negative_prompt) if lists[1] else list(plan.negative_prompts)
    p.all_seeds = [int(each) for each in p.seed] if lists[2] else list(plan.seeds)
    p.all_subseeds = list(plan.subseeds)
    if not lists[2]:
        p.seed = plan.seeds[0]
    p.subseed = p.subseed if isinstance(p.subseed, list) else plan.subseeds[0]
    p.main_prompt, p.main_negative_prompt = p.all_prompts[0], p.all_negative_prompts[0]
    p.sampler_name = plan.sampler.name
    p.sd_model_name, p.sd_model_hash = plan.checkpoint.short_name, plan.checkpoint.hash
    p.sd_vae_name = plan.vae.name if plan.vae else None
    p.sd_vae_hash = plan.vae.hash if plan.vae else None
    if plan.hires:
        p.all_hr_prompts = list(plan.hires.prompts)
        p.all_hr_negative_prompts = list(plan.hires.negative_prompts)
        p.calculate_target_resolution()


def _lists(p: Any, plan: Plan) -> dict[str, Any]:
    """Prompts and seeds of all pictures: whole batches, no more than there are prompts for."""
    size = plan.request.batch_size
    count = -(-min(plan.request.n_iter * size, max(1, len(p.all_prompts))) // size) * size
    return {
        "prompts": tuple(_fitted(p.all_prompts, count)),
        "negative_prompts": tuple(_fitted(p.all_negative_prompts, count)),
        "seeds": tuple(int(each) for each in _counted(p.all_seeds, count)),
        "subseeds": tuple(int(each) for each in _counted(p.all_subseeds, count)),
    }


def _fitted(items: list[Any], count: int) -> list[Any]:
    """So many: the last one again, or the first of them."""
    items = list(items)
    return items[:count] + items[-1:] * (count - len(items))


def _counted(seeds: list[Any], count: int) -> list[int]:
    seeds = [int(each) for each in seeds]
    return seeds[:count] + [seeds[-1] + 1 + more for more in range(count - len(seeds))]


def _batch(p: Any) -> dict[str, Any]:
    return {"prompts": p.prompts, "seeds": p.seeds, "subseeds": p.subseeds}


def _with_negatives(plan: Plan, p: Any, index: int) -> Plan:
    start = index * plan.request.batch_size
    now = tuple(p.negative_prompts or ())
    there = plan.negative_prompts[start : start + len(now)]
    if now == there:
        return plan
    whole = (*plan.negative_prompts[:start], *now, *plan.negative_prompts[start + len(now) :])
    return dataclasses.replace(plan, negative_prompts=whole)
