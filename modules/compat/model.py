"""`shared.sd_model` and what hangs on it, as far as reading goes: facts of the checkpoint, its parts, its levels.

Facts of the file are answered without loading it. Parts are diffusers' and transformers' own modules: code that walks
`diffusion_model.input_blocks` finds no such name there (see docs/a1111-extensions.md).
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from modules.compat import room as rooms
from modules.core.noise import PictureNoise
from modules.prompts.chunks import TextPolicy, chunked, counted

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
        self._loaded = loaded
        self.sd_checkpoint_info = CheckpointInfo(entry)
        self.sd_model_checkpoint = self.filename = str(entry.path)
        self.extra_generation_params: dict[str, Any] = {}
        self.used_config = entry.config or ""

    @property
    def easel(self) -> Model:
        """The loaded model itself."""
        if self._loaded is None:
            with self._room.floor:
                self._loaded = self._room.studio.shelf.get(self._entry)
        return self._loaded

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
    def model(self) -> Any:
        key = "hybrid" if self.easel.variant == "inpainting" else "crossattn"
        wrapped = types.SimpleNamespace(diffusion_model=self.easel.unet, conditioning_key=key)
        wrapped.state_dict = lambda: {f"diffusion_model.{key}": each for key, each in self.state_dict().items()}
        return wrapped

    @property
    def first_stage_model(self) -> Any:
        return self.easel.vae.network

    @property
    def cond_stage_model(self) -> Any:
        return Clip(self._room, self)

    @property
    def conditioner(self) -> Any:
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

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.easel.unet.state_dict())

    def parameters(self) -> Any:
        return self.easel.unet.parameters()

    def named_modules(self) -> Any:
        return self.easel.unet.named_modules()

    def eval(self) -> SdModel:
        return self

    def to(self, *_: Any, **__: Any) -> SdModel:
        """Where parts lie is decided by residency."""
        return self

    cpu = cuda = half = float = to


class Clip:
    """`cond_stage_model`: texts to what they say, and to tokens."""

    def __init__(self, room: Room, model: SdModel) -> None:
        self._room, self._model = room, model

    @property
    def wrapped(self) -> Any:
        return next(iter(self._model.easel.text.towers.values()))

    @property
    def tokenizer(self) -> Any:
        return self

    def _policy(self) -> TextPolicy:
        return TextPolicy.of(self._room.app.options.snapshot())

    def __call__(self, texts: list[str]) -> Any:
        encoder, policy = self._model.easel.text, self._policy()
        self._model.easel.residency.use("text")
        with torch.inference_mode():
            made = encoder.encode_together(list(texts), policy)
        tokens = torch.stack([each.tokens for each in made])
        pooled = [each.pooled for each in made if each.pooled is not None]
        return {"crossattn": tokens, "vector": torch.stack(pooled)} if pooled else tokens

    encode = forward = __call__

    def tokenize(self, texts: list[str]) -> list[list[int]]:
        from modules.prompts import tokens

        return [tokens.encode(text) for text in texts]

    def tokenize_line(self, line: str) -> tuple[list[Any], int]:
        """(chunks of a prompt, its number of tokens)."""
        return chunked(line, self._policy())

    def process_texts(self, texts: list[str]) -> tuple[list[Any], int]:
        made = [self.tokenize_line(text) for text in texts]
        return [chunks for chunks, _ in made], max((count for _, count in made), default=0)

    def get_target_prompt_token_count(self, token_count: int) -> int:
        return max(1, -(-token_count // 75)) * 75

    def get_prompt_lengths(self, text: str) -> tuple[int, int]:
        return counted(text, self._policy())


def of(room: Room, model: Model) -> SdModel:
    """The facade of a loaded model: the same object as long as it is the same model."""
    facade: SdModel | None = getattr(room, "_facade", None)
    if facade is None or facade._loaded is not model:
        facade = SdModel(room, room.app.library.hashed(model.checkpoint), model)
        room._facade = facade  # type: ignore[attr-defined]
    return facade


def now(room: Room) -> SdModel | None:
    """`shared.sd_model`: that of the job under way, else of the chosen checkpoint; None where there is none."""
    from modules.core.errors import EaselError

    frame = room.frame
    if frame is not None and frame.model is not None:
        return of(room, frame.model)
    try:
        entry = room.app.library.chosen(room.app.options.snapshot()["sd_model_checkpoint"])
    except EaselError:
        return None
    facade: SdModel | None = getattr(room, "_chosen", None)
    if facade is None or facade._entry.path != entry.path:
        facade = SdModel(room, entry)
        room._chosen = facade  # type: ignore[attr-defined]
    return facade


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


class Sampler:
    """`p.sampler`: read-only."""

    def __init__(self, p: Any, plan: Plan, model: SdModel) -> None:
        from modules.compat.sampling import SamplerData

        self.p = p
        self.config = SamplerData(plan.sampler.name, None, list(plan.sampler.aliases), dict(plan.sampler.options))
        self.funcname = plan.sampler.name
        self.eta = plan.parameters.get("eta")
        self.s_churn = plan.parameters.get("s_churn", 0.0)
        self.last_latent = None
        self.stop_at = None
        self.model_wrap = types.SimpleNamespace(inner_model=model, sigmas=model.easel.levels.sigmas)
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
