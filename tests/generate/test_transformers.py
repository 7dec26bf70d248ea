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
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from modules.core.device import Placement
from modules.core.errors import BadRequest, EaselError
from modules.generate.request import Img2Img, Txt2Img
from modules.generate.run import UNTILED
from modules.loading import preview
from modules.loading.loader import declare_vision_operators
from modules.loading.mmdit import patches
from modules.loading.mmdit.rows import ROWS
from modules.loading.shelf import Shelf
from modules.samplers.catalog import Sampler, builtin
from tests.generate.transformers import Seen, TransformerBench
from tests.loading import gguf_files
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


def test_a_gguf_file_makes_nearly_the_same_picture(bench: Any, tmp_path: Path) -> None:
    """Matrices in 8 bits, the rest in 32: what other programs call Q8_0."""
    files = families.flux_apart()
    request = dataclasses.replace(REQUEST, cfg_scale=1.0, steps=2)
    wanted = TransformerBench(_made(tmp_path / "plain"), files).see(request).pixels
    weights = dict(files.weights)
    model = weights.pop("Stable-diffusion/tiny.safetensors")
    small = {
        name: (gguf_files.Q8_0 if tensor.dim() == 2 else gguf_files.F32, tensor.numpy())
        for name, tensor in model.items()
    }

    def write(path: Path) -> None:
        gguf_files.write(path, small)

    others = {**files.others, "Stable-diffusion/tiny-Q8_0.gguf": write}
    studio = bench(dataclasses.replace(files, weights=weights, others=others))
    assert studio.name == "tiny-Q8_0.gguf"
    assert psnr(studio.see(request).pixels, wanted) > 30


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> TransformerBench:
    return TransformerBench(tmp_path_factory.mktemp("small"), families.sd3_apart())


UNFIT = {"DPM fast", "DPM adaptive"}
"""Written for noise predictions: they divide by alpha, so few steps from noise alone say nothing."""


@pytest.mark.parametrize(
    "row", [row for row in builtin().samplers() if row.name not in UNFIT], ids=lambda row: row.name
)
def test_every_sampler_works_in_rectified_flow(row: Sampler, small: TransformerBench) -> None:
    seen = small.see(dataclasses.replace(REQUEST, sampler_name=row.name, scheduler="Automatic", steps=3))
    assert torch.isfinite(seen.latents).all()
    assert float(seen.sigmas[0]) <= 1.0


def test_a_schedule_for_stronger_noise_is_refused(small: TransformerBench) -> None:
    with pytest.raises(BadRequest, match="Choose another schedule") as said:
        small.make(dataclasses.replace(REQUEST, scheduler="Align Your Steps"))
    assert said.value.field == "scheduler"


def test_a_transformer_says_that_it_makes_nothing_seamless(small: TransformerBench) -> None:
    request = dataclasses.replace(REQUEST, steps=1)
    plain, tiled = (small.make(dataclasses.replace(request, tiling=tiling)) for tiling in (False, True))
    assert [UNTILED in result["comments"] for result in (plain, tiled)] == [False, True]


def test_options_that_bend_trained_levels_leave_a_flow_alone(small: TransformerBench) -> None:
    request = dataclasses.replace(REQUEST, steps=2)
    bent = small.see(request, use_downcasted_alpha_bar=True, sd_noise_schedule="Zero Terminal SNR")
    assert torch.equal(bent.sigmas, small.see(request).sigmas)


def test_a_picture_is_mixed_with_noise_by_the_level(small: TransformerBench) -> None:
    """x = (1 - sigma) * picture + sigma * noise."""
    events: list[Any] = []
    take = small.moments.sampling.add(events.append, owner="test")
    picture = small.studio.inputs.add_image(Image.new("RGB", (64, 64), (200, 90, 30)))
    request = Img2Img(
        prompt="a cat", init_images=(picture,), denoising_strength=0.5, steps=8, width=64, height=64, seed=3
    )
    try:
        result = small.make(request)
    finally:
        take()
    event = events[0]
    sigma = event.sigmas[0]
    assert 0 < float(sigma) < 1
    assert torch.allclose(event.x, (1 - sigma) * event.latents + sigma * event.noise, atol=1e-5)
    assert Image.open(result["pictures"][0]["path"]).size == (64, 64)


def test_hires_fix_gives_the_larger_size_and_its_shift(bench: Any) -> None:
    studio = bench(families.flux_apart())
    first: list[Any] = []
    studio.moments.sampling.add(first.append, owner="test")
    request = dataclasses.replace(
        REQUEST, cfg_scale=1.0, steps=2, enable_hr=True, hr_scale=2.0, hr_upscaler="Latent", denoising_strength=0.9
    )
    result = studio.make(request)
    assert Image.open(result["pictures"][0]["path"]).size == (128, 192)
    assert [tuple(event.x.shape[-2:]) for event in first] == [(12, 8), (24, 16)]


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ("text_encoder/t5xxl_fp16.safetensors", r"Flux\.1 needs the text encoder T5-XXL.*models/text_encoder"),
        ("text_encoder/clip_l.safetensors", r"Flux\.1 needs the text encoder CLIP-L.*models/text_encoder"),
        ("VAE/ae.safetensors", r"Flux\.1 needs a VAE with 16 channels.*models/VAE"),
    ],
)
def test_a_missing_part_is_named_with_its_place(gone: str, says: str, bench: Any) -> None:
    files = families.flux_apart()
    rest = {place: weights for place, weights in files.weights.items() if place != gone}
    studio = bench(dataclasses.replace(files, weights=rest))
    with pytest.raises(EaselError, match=says):
        studio.make(REQUEST)


@pytest.mark.parametrize("name", ["flux2 dev apart", "qwen-image apart", "flux dev apart"])
def test_a_vae_chosen_in_the_settings_takes_the_place_of_the_models(name: str, bench: Any) -> None:
    files = families.FAMILIES[name]()
    place = next(place for place in files.weights if place.startswith("VAE/"))
    other = {name: tensor * 0.9 for name, tensor in files.weights[place].items()}
    studio = bench(dataclasses.replace(files, weights={**files.weights, "VAE/zzz.safetensors": other}))
    request = dataclasses.replace(REQUEST, cfg_scale=1.0, steps=1)
    own = studio.see(request).pixels
    assert torch.equal(studio.see(request, sd_vae=Path(place).name).pixels, own)
    assert psnr(studio.see(request, sd_vae="zzz.safetensors").pixels, own) < 60
    assert torch.equal(studio.see(request).pixels, own)


def test_another_familys_vae_of_the_same_shapes_is_not_taken(bench: Any) -> None:
    files = families.flux_apart()
    weights = dict(files.weights)
    weights["VAE/sd3_vae.safetensors"] = weights.pop("VAE/ae.safetensors")
    studio = bench(dataclasses.replace(files, weights=weights))
    with pytest.raises(EaselError, match="needs a VAE"):
        studio.make(REQUEST)


def test_nothing_of_a_model_stays_on_the_meta_device(bench: Any, tmp_path: Path) -> None:
    for number, make in enumerate(families.FAMILIES.values()):
        model = TransformerBench(_made(tmp_path / str(number)), make()).model
        parts = [model.unet, model.vae.network, *model.text.towers.values()]
        tensors = [tensor for part in parts for tensor in (*part.parameters(), *part.buffers())]
        assert not any(tensor.is_meta for tensor in tensors), model.family.id


def test_a_preview_has_a_row_for_every_channel() -> None:
    for row in ROWS:
        assert len(row.latent.preview) == row.latent.channels
        picture = preview.linear(torch.randn(row.latent.channels, 4, 6), row.latent)
        assert picture.size == (6, 4)


def test_a_lora_under_diffusers_names_changes_the_transformer_and_comes_off_again(bench: Any) -> None:
    studio = bench(families.flux_apart())
    width = studio.model.unet.config.num_attention_heads * studio.model.unet.config.attention_head_dim
    generator = torch.Generator().manual_seed(0)
    lora = {
        f"transformer.{layer}.lora_{part}.weight": torch.randn(shape, generator=generator) * 0.3
        for layer in ("transformer_blocks.0.attn.to_q", "single_transformer_blocks.1.attn.to_v")
        for part, shape in (("A", (4, width)), ("B", (width, 4)))
    }
    (studio.folder / "Lora").mkdir(exist_ok=True)
    save_file(lora, studio.folder / "Lora" / "style.safetensors")
    request = dataclasses.replace(REQUEST, cfg_scale=1.0, steps=1)
    plain = studio.see(request)
    styled = studio.see(dataclasses.replace(request, prompt=f"{request.prompt}<lora:style:1>"))
    assert styled.result["comments"] == []
    assert psnr(styled.latents, plain.latents) < 60
    assert torch.equal(studio.see(request).latents, plain.latents)


@pytest.mark.parametrize(
    "name", ["sd3.5 whole", "flux schnell apart", "flux2 klein apart", "lumina apart", "qwen-image apart"]
)
def test_half_precision_is_near_the_full_one(name: str, bench: Any) -> None:
    """Every number that meets the network's is of its format; float16 becomes bfloat16 where it would overflow."""
    studio = bench(families.FAMILIES[name]())
    request = dataclasses.replace(REQUEST, steps=2)
    full = studio.see(request, sd3_enable_t5=True)
    half = Placement(device=torch.device("cpu"), dtype=torch.float16, vae_dtype=torch.bfloat16)
    studio.studio = dataclasses.replace(studio.studio, shelf=Shelf(half, companions=studio.companions))
    seen = studio.see(request, sd3_enable_t5=True)
    wide = studio.model.family.wide
    assert next(studio.model.unet.parameters()).dtype == (torch.bfloat16 if wide else torch.float16)
    assert psnr(seen.latents, full.latents) > 35
