"""Laws of transformers: their pictures are those of diffusers' pipelines on the same weights, words and noise; every
family's files are recognised, loaded, sampled and decoded, wherever a user puts the parts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from modules.generate.request import Txt2Img
from modules.loading.loader import declare_vision_operators
from modules.loading.mmdit import patches
from tests.generate.transformers import Seen, TransformerBench
from tests.loading.mmdit import families

declare_vision_operators()

REQUEST = Txt2Img(
    prompt="a cat on the red house",
    negative_prompt="a dog",
    width=64,
    height=96,
    steps=4,
    cfg_scale=4.0,
    seed=7,
    sampler_name="Euler",
    scheduler="Simple",
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[[families.Files], TransformerBench]]:
    made: list[TransformerBench] = []

    def make(files: families.Files) -> TransformerBench:
        made.append(TransformerBench(tmp_path, files))
        return made[-1]

    yield make
    for each in made:
        each.studio.shelf.clear()


def psnr(ours: Tensor, theirs: Tensor) -> float:
    """Decibels, with the range of theirs as the peak."""
    error = float(((ours.double() - theirs.double()) ** 2).mean())
    peak = float(theirs.max() - theirs.min())
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def vae_of(studio: TransformerBench) -> Any:
    """The VAE, told the facts of its latents as pipelines want them."""
    network: Any = studio.model.vae.network
    facts = studio.model.family.latent
    network.register_to_config(scaling_factor=facts.scale, shift_factor=facts.shift)
    return network


@pytest.mark.parametrize("name", families.FAMILIES)
def test_every_layout_is_recognised_loaded_sampled_and_decoded(name: str, bench: Any) -> None:
    files = families.FAMILIES[name]()
    studio = bench(files)
    assert studio.library.checkpoints()[0].family == files.family
    result = studio.make(Txt2Img(prompt="a cat", width=64, height=64, steps=2, seed=1, cfg_scale=1.0))
    assert len(result["pictures"]) == 1
    image = studio.images(Txt2Img(prompt="a cat", width=72, height=64, steps=2, seed=1, cfg_scale=2.0))[0]
    assert image.size == (72, 64)


@pytest.mark.parametrize("t5", [False, True])
@pytest.mark.parametrize("kind", ["medium", "3.5"])
def test_stable_diffusion_3_is_the_pipelines(kind: str, t5: bool, bench: Any) -> None:
    studio = bench(families.sd3_whole(normed=kind == "3.5", dual=2 if kind == "3.5" else 0))
    seen = studio.see(REQUEST, sd3_enable_t5=t5)
    latents, pixels = _sd3_pipeline(studio, seen)
    assert psnr(seen.latents, latents) >= 60
    assert psnr(seen.pixels, pixels) >= 60


def _sd3_pipeline(studio: TransformerBench, seen: Seen) -> tuple[Tensor, Tensor]:
    """What diffusers makes of the same: the transformer is loaded by its own conversion."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
    from diffusers.loaders.single_file_utils import convert_sd3_transformer_checkpoint_to_diffusers
    from safetensors.torch import load_file

    prefix = "model.diffusion_model."
    stored = load_file(studio.model.checkpoint.path)
    weights = {name: tensor for name, tensor in stored.items() if name.startswith(prefix)}
    transformer = SD3Transformer2DModel(**dict(studio.model.unet.config))
    transformer.load_state_dict(convert_sd3_transformer_checkpoint_to_diffusers(weights))
    vae = vae_of(studio)
    pipe = StableDiffusion3Pipeline(
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
        text_encoder_3=None,
        tokenizer_3=None,
    )
    given = seen.conditioning
    return _both(
        pipe,
        prompt_embeds=given.positive.context,
        pooled_prompt_embeds=given.positive.pooled,
        negative_prompt_embeds=given.negative.context,
        negative_pooled_prompt_embeds=given.negative.pooled,
        guidance_scale=REQUEST.cfg_scale,
        latents=seen.noise,
    )


def _both(pipe: Any, **arguments: Any) -> tuple[Tensor, Tensor]:
    """Latents and pixels (3, H, W) of the first picture, in equal steps of unshifted time."""
    pipe.set_progress_bar_config(disable=True)
    steps = REQUEST.steps
    common = {
        "num_inference_steps": steps,
        "sigmas": [1 - step / steps for step in range(steps)],
        "width": REQUEST.width,
        "height": REQUEST.height,
        **arguments,
    }
    latents = pipe(**common, output_type="latent").images
    return latents, pipe(**common, output_type="pt").images[0]


@pytest.mark.parametrize("guided", [True, False])
def test_flux_is_the_pipelines(guided: bool, bench: Any) -> None:
    """dev at the guidance scale that is asked for, with shifts by size; schnell without either."""
    studio = bench(families.flux_apart(guided=guided))
    seen = studio.see(dataclasses.replace(REQUEST, cfg_scale=1.0, scheduler="Automatic"), distilled_cfg_scale=2.5)
    latents, pixels = _flux_pipeline(studio, seen, guided=guided)
    assert psnr(seen.latents, latents) >= 60
    assert psnr(seen.pixels, pixels) >= 60


def _flux_pipeline(studio: TransformerBench, seen: Seen, *, guided: bool) -> tuple[Tensor, Tensor]:
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline

    vae = vae_of(studio)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=guided)
    pipe = FluxPipeline(
        transformer=studio.model.unet,
        scheduler=scheduler,
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
    )
    given = seen.conditioning
    latents, pixels = _both(
        pipe,
        prompt_embeds=given.positive.context,
        pooled_prompt_embeds=given.positive.pooled,
        guidance_scale=2.5,
        latents=patches.packed(seen.noise),
    )
    return patches.unpacked(latents, *seen.noise.shape[-2:]), pixels


def test_chroma_is_the_pipelines(bench: Any) -> None:
    """Its pipeline adds 0 or 1 to attention instead of masking, so it is given texts without filling."""
    from diffusers import ChromaPipeline, FlowMatchEulerDiscreteScheduler

    studio = bench(families.chroma_apart())
    seen = studio.see(REQUEST)
    vae = vae_of(studio)
    pipe = ChromaPipeline(
        transformer=studio.model.unet,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        vae=vae,
        text_encoder=None,
        tokenizer=None,
    )
    given = seen.conditioning
    latents, pixels = _both(
        pipe,
        prompt_embeds=given.positive.context,
        prompt_attention_mask=torch.ones(given.positive.context.shape[:2]),
        negative_prompt_embeds=given.negative.context,
        negative_prompt_attention_mask=torch.ones(given.negative.context.shape[:2]),
        guidance_scale=REQUEST.cfg_scale,
        latents=patches.packed(seen.noise),
    )
    assert given.positive.context.shape != given.negative.context.shape
    assert psnr(seen.latents, patches.unpacked(latents, *seen.noise.shape[-2:])) >= 60
    assert psnr(seen.pixels, pixels) >= 60


def test_lumina_is_the_pipelines(bench: Any) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler, Lumina2Pipeline

    studio = bench(families.lumina_apart())
    seen = studio.see(REQUEST)
    vae = vae_of(studio)
    pipe = Lumina2Pipeline(
        transformer=studio.model.unet,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=6.0),
        vae=vae,
        text_encoder=None,
        tokenizer=None,
    )
    given = seen.conditioning
    most, least = given.positive.context.shape[1], given.negative.context.shape[1]
    latents, pixels = _both(
        pipe,
        prompt_embeds=given.positive.context,
        prompt_attention_mask=torch.ones(1, most, dtype=torch.bool),
        negative_prompt_embeds=functional.pad(given.negative.context, (0, 0, 0, most - least)),
        negative_prompt_attention_mask=torch.arange(most).unsqueeze(0) < least,
        guidance_scale=REQUEST.cfg_scale,
        cfg_normalization=False,
        latents=seen.noise,
    )
    assert psnr(seen.latents, latents) >= 60
    assert psnr(seen.pixels, pixels) >= 60


def test_z_image_is_the_pipelines(bench: Any) -> None:
    """Its pipeline counts guidance from 0: scale 3 there is 4 elsewhere."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline

    studio = bench(families.z_apart())
    seen = studio.see(REQUEST)
    vae = vae_of(studio)
    pipe = ZImagePipeline(
        transformer=studio.model.unet,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=None,
        tokenizer=None,
    )
    given = seen.conditioning
    latents, pixels = _both(
        pipe,
        prompt_embeds=[given.positive.context[0]],
        negative_prompt_embeds=[given.negative.context[0]],
        guidance_scale=REQUEST.cfg_scale - 1,
        latents=seen.noise,
    )
    assert psnr(seen.latents, latents) >= 60
    assert psnr(seen.pixels, pixels) >= 60


@pytest.mark.parametrize("guided", [True, False])
def test_flux2_is_the_pipelines(guided: bool, bench: Any) -> None:
    """dev at the scale that is asked for; its own schedule depends on the size and on the number of steps."""
    from diffusers import FlowMatchEulerDiscreteScheduler, Flux2Pipeline

    studio = bench(families.flux2_apart(guided=guided))
    seen = studio.see(dataclasses.replace(REQUEST, cfg_scale=1.0, scheduler="Automatic"), distilled_cfg_scale=2.5)
    pipe = Flux2Pipeline(
        transformer=studio.model.unet,
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=studio.model.vae.network.network,
        text_encoder=None,
        tokenizer=None,
    )
    latents, pixels = _both(
        pipe,
        prompt_embeds=seen.conditioning.positive.context,
        guidance_scale=2.5,
        latents=Flux2Pipeline._patchify_latents(seen.noise),
    )
    assert psnr(seen.latents, patches.unpacked(latents, *seen.noise.shape[-2:])) >= 60
    assert psnr(seen.pixels, pixels) >= 60


def test_qwen_image_is_the_pipelines(bench: Any) -> None:
    """Without guidance: its pipeline scales the guided velocity back, which is no part of the model."""
    from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline

    studio = bench(families.qwen_apart())
    seen = studio.see(dataclasses.replace(REQUEST, cfg_scale=1.0, scheduler="Automatic"))
    scheduler = FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=0.5, max_shift=0.9, max_image_seq_len=8192, shift_terminal=0.02
    )
    pipe = QwenImagePipeline(
        transformer=studio.model.unet,
        scheduler=scheduler,
        vae=studio.model.vae.network.network,
        text_encoder=None,
        tokenizer=None,
    )
    given = seen.conditioning
    latents, pixels = _both(
        pipe,
        prompt_embeds=given.positive.context,
        prompt_embeds_mask=torch.ones(given.positive.context.shape[:2], dtype=torch.long),
        latents=patches.packed(seen.noise),
    )
    assert psnr(seen.latents, patches.unpacked(latents, *seen.noise.shape[-2:])) >= 60
    assert psnr(seen.pixels, pixels) >= 60


@pytest.mark.parametrize("guided", [True, False])
def test_flux_hears_its_guidance_scale_where_it_can(guided: bool, bench: Any) -> None:
    studio = bench(families.flux_apart(guided=guided))
    request = dataclasses.replace(REQUEST, cfg_scale=1.0, steps=2)
    low, high = (studio.see(request, distilled_cfg_scale=scale) for scale in (1.0, 8.0))
    assert torch.equal(low.latents, high.latents) is not guided
    assert "Distilled CFG Scale: 8" in high.result["info"]["infotexts"][0]


def test_an_all_in_one_file_and_its_parts_are_the_same_model(bench: Any, tmp_path: Path) -> None:
    apart = families.flux_apart()
    whole = families.Files(
        family="flux",
        weights={"Stable-diffusion/tiny.safetensors": families.joined(apart)},
        others=apart.others,
    )
    request = dataclasses.replace(REQUEST, cfg_scale=1.0, steps=1)
    pictures = [
        TransformerBench(_made(tmp_path / name), files).see(request).pixels
        for name, files in (("apart", apart), ("whole", whole))
    ]
    assert psnr(*pictures) >= 100  # where a tensor lies in its file moves the last digits


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
