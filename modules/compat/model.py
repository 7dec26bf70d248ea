"""`shared.sd_model` and what hangs on it, as far as reading goes: facts of the checkpoint, its parts, its levels.

Facts of the file are answered without loading it. A UNet is shown under the original's names (`original.unet`); other
parts are diffusers' and transformers' own modules.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from modules.compat import conditions
from modules.compat import room as rooms
from modules.compat.clip import Clip as Clip
from modules.compat.clip import GeneralConditioner as GeneralConditioner
from modules.compat.original.k import DiscreteSchedule
from modules.compat.original.unet import DiffusionWrapper, shown
from modules.core.noise import PictureNoise
from modules.loading import ldm_names, storage

if TYPE_CHECKING:
    from modules.compat.room import Room
    from modules.generate.moments import Sampling
    from modules.generate.plan import Plan
    from modules.loading.loader import Model


class SdModel:
    """A checkpoint as A1111's code sees one. loaded: its parts, or a function that loads them when they are asked."""

    is_ssd = is_sdxl_inpaint = False
    lowvram = False
    model_type = "sd"

    def __init__(self, room: Room, entry: Any, loaded: Model | None = None) -> None:
        from modules.compat.checkpoints import CheckpointInfo

        self._room = room
        self._entry = entry
        self._loaded: Any = (lambda: None) if loaded is None else weakref.ref(loaded)  # the shelf decides how long
        self.sd_checkpoint_info = CheckpointInfo(entry)
        self.sd_model_checkpoint = self.filename = str(entry.path)
        self.extra_generation_params: dict[str, Any] = {}
        self.used_config = entry.config or ""

    @property
    def easel(self) -> Model:
        """The loaded model itself."""
        found: Model | None = self._loaded()
        if found is None:
            now = self._room.app.options.snapshot()
            with self._room.floor:
                found = self._room.studio.shelf.get(self._entry, **storage.ways(now, self._entry.family))
            self._loaded = weakref.ref(found)
        return found

    @property
    def sd_model_hash(self) -> str | None:
        return self._entry.hash

    @property
    def _family(self) -> str:
        return self._entry.family or ""

    @property
    def is_sdxl(self) -> bool:
        return self._family.startswith("sdxl")

    @property
    def is_sd1(self) -> bool:
        return self._family.startswith("sd1")

    @property
    def is_sd2(self) -> bool:
        return self._family.startswith("sd2")

    @property
    def is_sd3(self) -> bool:
        return self._family.startswith("sd3")

    @property
    def model(self) -> DiffusionWrapper:
        view = shown(self.easel.unet)
        wrapped: DiffusionWrapper | None = self.__dict__.get("_wrapped")
        if wrapped is None or wrapped.diffusion_model is not view:
            key = "hybrid" if self.easel.variant == "inpainting" else "crossattn"
            wrapped = self.__dict__["_wrapped"] = DiffusionWrapper(view, key)
        return wrapped

    @property
    def network_layer_mapping(self) -> dict[str, Any]:
        """A layer's name as LoRA files have it -> the layer."""
        named = ((getattr(each, "network_layer_name", None), each) for each in self.model.diffusion_model.modules())
        return {str(name): each for name, each in named if name}

    @property
    def first_stage_model(self) -> Any:
        return self.easel.vae.network

    @property
    def cond_stage_model(self) -> Any:
        made: Clip | None = self.__dict__.get("_clip")
        if made is None:
            made = self.__dict__["_clip"] = (GeneralConditioner if self.is_sdxl else Clip)(self._room, self)
        return made

    @property
    def conditioner(self) -> Any:
        """SDXL's alone: some tell the families apart by it."""
        if not self.is_sdxl:
            raise AttributeError("conditioner")
        return self.cond_stage_model

    @property
    def cond_stage_key(self) -> str:
        return "edit" if self.easel.variant == "edit" else "txt"

    @property
    def latent_channels(self) -> int:
        return int(self.easel.family.latent.channels)

    @property
    def device(self) -> torch.device:
        return self._room.studio.shelf.placement.device

    @property
    def dtype(self) -> torch.dtype:
        return self.easel.placement.dtype

    @property
    def parameterization(self) -> str:
        return "v" if self.easel.prediction == "v" else "eps"

    @property
    def alphas_cumprod(self) -> Tensor:
        """(1000,): how much of the picture is left at each trained time."""
        sigmas = self.easel.levels.sigmas
        return 1 / (sigmas.float() ** 2 + 1)

    alphas_cumprod_original = alphas_cumprod

    @property
    def num_timesteps(self) -> int:
        return len(self.easel.levels.sigmas)

    @property
    def embedder(self) -> Any:
        return self.cond_stage_model

    def get_learned_conditioning(self, prompts: Any) -> Any:
        """Tokens (texts, n, width) of these texts; for SDXL a dict with "crossattn" and "vector"."""
        return self.cond_stage_model(list(prompts))

    def encode_first_stage(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) in -1..1 -> latents (B, C, h, w), scaled as the model wants them."""
        with torch.inference_mode():
            return torch.stack([self.easel.vae.encode((each.float() + 1) / 2) for each in pixels])

    def get_first_stage_encoding(self, encoding: Tensor) -> Tensor:
        return encoding

    def decode_first_stage(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) -> pixels (B, 3, H, W) in -1..1."""
        with torch.inference_mode():
            return torch.stack([self.easel.vae.decode(each) for each in latents]) * 2 - 1

    def apply_model(self, x: Tensor, t: Tensor, cond: Any) -> Tensor:
        """What the network predicts; cond: tokens, or {"c_crossattn": [...], "c_concat": [...]} of them."""
        said = cond if isinstance(cond, dict) else {"c_crossattn": [cond]}
        known = {key: said[key] for key in ("c_concat", "c_crossattn", "c_adm") if key in said}
        with torch.inference_mode():
            return self.model(x, t, **known)

    def named_children(self) -> Iterator[tuple[str, torch.nn.Module]]:
        yield "model", self.model
        yield "first_stage_model", self.first_stage_model

    def state_dict(self) -> dict[str, Tensor]:
        """UNet and VAE under the names that a checkpoint file has."""
        vae = self.first_stage_model.state_dict()
        names = ldm_names.vae(vae)
        return {
            **{f"model.{key}": each for key, each in self.model.state_dict().items()},
            **{f"first_stage_model.{names[key]}": each for key, each in vae.items()},
        }

    def parameters(self) -> Any:
        return self.easel.unet.parameters()

    def named_modules(self) -> Iterator[tuple[str, torch.nn.Module]]:
        for name, child in self.named_children():
            for inner, module in child.named_modules():
                yield f"{name}.{inner}".rstrip("."), module

    def modules(self) -> Iterator[torch.nn.Module]:
        return (module for _, module in self.named_modules())

    def eval(self) -> SdModel:
        return self

    def to(self, *_: Any, **__: Any) -> SdModel:
        """Where parts lie is decided by residency."""
        return self

    cpu = cuda = half = float = to


LatentDiffusion = SdModel
"""Its name in the original code, to ask after with isinstance."""


def _facade(room: Room, entry: Any) -> SdModel:
    """The facade of a checkpoint: the same object as long as it is asked for; the last two are kept."""
    found = room.facades.pop(str(entry.path), None)
    if found is None:
        found = SdModel(room, entry)
    room.facades[str(entry.path)] = found
    for old in list(room.facades)[:-2]:
        del room.facades[old]
    return found


def of(room: Room, model: Model) -> SdModel:
    """The facade of a loaded model."""
    facade = _facade(room, room.app.library.hashed(model.checkpoint))
    facade._loaded = weakref.ref(model)
    return facade


def now(room: Room) -> SdModel | None:
    """`shared.sd_model`: that of the job under way, else of the chosen checkpoint; None where there is none."""
    from modules.core.errors import EaselError

    frame = room.frame
    if frame is not None and frame.model is not None:
        return of(room, frame.model)
    if frame is not None and frame.plan is not None:
        return _facade(room, frame.plan.checkpoint)
    try:
        return _facade(room, room.app.library.chosen(room.app.options.snapshot()["sd_model_checkpoint"]))
    except EaselError:
        return None


class CfgDenoiser:
    """What `params.denoiser` and `p.sampler.model_wrap_cfg` show: counts, and whose job it is."""

    def __init__(self, sampler: Sampler, plan: Plan) -> None:
        self.sampler, self.p = sampler, sampler.p
        self.step, self.total_steps = 0, plan.steps[1]
        self.steps = plan.request.steps
        self.cond_scale_miltiplier = 1.0
        self.image_cfg_scale = plan.image_scale
        self.mask = self.nmask = self.init_latent = None
        self.need_last_noise_uncond = False
        self.padded_cond_uncond = False
        self.mask_before_denoising = plan.sampler.scaled

    @property
    def inner_model(self) -> Any:
        return self.sampler.model_wrap

    def combine_denoised(self, x_out: Tensor, conds_list: Any, uncond: Any, cond_scale: float) -> Tensor:
        """Rows of guesses, those of the prompts first -> the guided guess (B, C, H, W). conds_list: for each picture
        (row, weight) of its prompts. One that an extension put in its place is called instead of Easel's own.
        """
        negative = x_out[-len(conds_list) :]
        made = negative.clone()
        for picture, prompts in enumerate(conds_list):
            for row, weight in prompts:
                made[picture] += (x_out[row] - negative[picture]) * (weight * cond_scale)
        return made


class ModelWrap:
    """`inner_model`: the model as a denoiser. Called, it is asked once more."""

    def __init__(self, model: SdModel) -> None:
        self.inner_model, self.sigmas = model, model.easel.levels.sigmas
        self.log_sigmas = self.sigmas.log()

    def __call__(self, x: Tensor, sigma: Tensor, cond: Any = None, **_: Any) -> Tensor:
        """x (B, C, H, W), sigma (B,), cond as A1111 gives it -> guesses of the clean latent."""
        model = self.inner_model.easel
        with torch.inference_mode():
            return model.predict(model.levels)(x, sigma.flatten()[0], conditions.given(cond))

    forward = __call__

    def sigma_to_t(self, sigma: Tensor, quantize: bool = False) -> Tensor:
        return DiscreteSchedule(self.sigmas).sigma_to_t(sigma, quantize)

    def t_to_sigma(self, t: Tensor) -> Tensor:
        return DiscreteSchedule(self.sigmas).t_to_sigma(t)


class Sampler:
    """`p.sampler`: what it is told is read; `combine_denoised` and `callback_state` may be replaced."""

    def __init__(self, p: Any, plan: Plan, model: SdModel) -> None:
        from modules.compat.sampling import SamplerData

        self.p = p
        self.config = SamplerData(plan.sampler.name, None, list(plan.sampler.aliases), dict(plan.sampler.options))
        self.funcname = plan.sampler.name
        self.eta = plan.parameters.get("eta")
        self.s_churn = plan.parameters.get("s_churn", 0.0)
        self.last_latent = None
        self.stop_at = None
        self.model_wrap = ModelWrap(model)
        self.model_wrap_cfg = CfgDenoiser(self, plan)

    def at(self, step: int) -> None:
        self.model_wrap_cfg.step = step

    def callback_state(self, d: dict[str, Any]) -> None:
        """Told of every guess: d["i"], d["x"], d["sigma"], d["denoised"]; the last may be changed in place."""

    @property
    def step(self) -> int:
        return self.model_wrap_cfg.step


UNTOUCHED = Sampler.callback_state


class ImageRNG:
    """`rng.ImageRNG`: noise of a batch by its seeds. shape (C, h, w)."""

    def __init__(
        self,
        shape: Any,
        seeds: Any,
        subseeds: Any = None,
        subseed_strength: float = 0.0,
        seed_resize_from_h: int = 0,
        seed_resize_from_w: int = 0,
    ) -> None:
        from modules.core.noise import Seeds

        room = rooms.current()
        self.shape, self.seeds, self.subseeds = tuple(map(int, shape)), list(seeds), subseeds
        self.subseed_strength = subseed_strength
        self.seed_resize_from_h, self.seed_resize_from_w = seed_resize_from_h, seed_resize_from_w
        sized = seed_resize_from_h > 0 and seed_resize_from_w > 0
        asked = Seeds(
            source=room.opts.randn_source,
            seeds=tuple(int(seed) for seed in seeds),
            subseeds=tuple(int(seed) for seed in (subseeds or seeds)),
            strength=subseed_strength,
            resize_from=(seed_resize_from_h // 8, seed_resize_from_w // 8) if sized else None,
            delta=room.opts.eta_noise_seed_delta,
        )
        place = room.studio.shelf.placement.device
        self._noise = PictureNoise(asked, self.shape, place)  # type: ignore[arg-type]
        self.is_first = True

    def first(self) -> Tensor:
        return self._noise.first()

    def next(self) -> Tensor:
        """The first noise, then further ones."""
        if self.is_first:
            self.is_first = False
            return self.first()
        return self._noise()


def rng(event: Sampling) -> ImageRNG:
    """The noise of the batch that is about to be sampled, drawn anew."""
    plan, count = event.plan, len(event.noise)
    frame = rooms.current().frame
    seeds = list(frame.p.seeds or plan.seeds[:count]) if frame else list(plan.seeds[:count])
    made = ImageRNG(event.noise.shape[1:], seeds, None, 0.0)
    return made
