"""A trained model as one Stable Diffusion 1 checkpoint file, and its sizes as the .yaml that other programs ask for."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from modules.core.errors import BadRequest
from modules.loading import families
from modules.training import layout, models, objective
from modules.training.recipes import Recipe


def checkpoint(
    unet: nn.Module, vae: nn.Module, tower: nn.Module, *, schedule: str = "scaled_linear", dtype: torch.dtype
) -> dict[str, Tensor]:
    """All tensors of an SD1 file under their names."""
    tensors = {families.UNET + name: each for name, each in layout.unet(unet.state_dict()).items()}
    tensors |= {families.VAE + name: each for name, each in layout.vae(vae.state_dict()).items()}
    prefix = families.CLIP_L.prefix
    tensors |= {prefix + name: each for name, each in layout.text(tower.state_dict()).items()}
    ready = {
        name: (each.to(dtype) if each.is_floating_point() else each).cpu().contiguous()
        for name, each in tensors.items()
    }
    return ready | layout.schedule(objective.SCHEDULES[schedule]().kept)


def write(path: Path, tensors: dict[str, Tensor], notes: dict[str, str]) -> None:
    """The file, whole or not at all. Raises BadRequest for numbers that are not finite."""
    from safetensors.torch import save_file

    wrong = next((name for name, each in tensors.items() if not torch.isfinite(each.float()).all()), None)
    if wrong:
        raise BadRequest(f"{path.name}: {wrong} holds numbers that are not finite; train at a lower rate.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    save_file(tensors, unfinished, {"format": "pt", **notes})
    unfinished.replace(path)


def notes(recipe: Recipe, steps: int, colours: Tensor) -> dict[str, str]:
    """What the file says about itself; colours (5, 3): of `autoencoder.colours`, for previews."""
    return {
        "modelspec.title": f"Easel {recipe.name} {recipe.size}",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.resolution": f"{recipe.size}x{recipe.size}",
        "modelspec.prediction_type": {"eps": "epsilon"}.get(recipe.prediction, recipe.prediction),
        "easel.cfg_scale": str(models.GUIDANCE),
        "easel.preview": json.dumps([[round(each, 4) for each in row] for row in colours.tolist()]),
        "easel.training": json.dumps({"recipe": recipe.name, "seed": recipe.seed, "unet_steps": steps}),
    }


def sizes(recipe: Recipe) -> str:
    """The model's dimensions as LDM's configuration file: programs that assume SD1.5's need it beside the file.

    Raises BadRequest for channels that LDM cannot write down.
    """
    unet, vae, text = recipe.unet, recipe.finished_vae, recipe.text
    where = [1 << level for level, attends in enumerate(unet.attention) if attends]
    multiples, widths = _multiples(unet.channels), _multiples(vae.channels)
    return f"""model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    linear_start: 0.00085
    linear_end: 0.0120
    timesteps: {objective.STEPS}
    first_stage_key: jpg
    cond_stage_key: txt
    image_size: {recipe.size // 8}
    channels: {models.LATENT}
    conditioning_key: crossattn
    scale_factor: {models.SCALE}
    use_ema: false
    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params: {{image_size: {recipe.size // 8}, in_channels: {models.LATENT}, out_channels: {models.LATENT},
        model_channels: {unet.channels[0]}, attention_resolutions: {where}, num_res_blocks: {unet.blocks},
        channel_mult: {multiples}, num_heads: {models.HEADS}, use_spatial_transformer: true, transformer_depth: 1,
        context_dim: {text.width}, use_checkpoint: false, legacy: false}}
    first_stage_config:
      target: ldm.models.autoencoder.AutoencoderKL
      params:
        embed_dim: {models.LATENT}
        ddconfig: {{double_z: true, z_channels: {models.LATENT}, resolution: {recipe.size}, in_channels: 3, out_ch: 3,
          ch: {vae.channels[0]}, ch_mult: {widths}, num_res_blocks: {vae.blocks}, attn_resolutions: [], dropout: 0.0}}
        lossconfig: {{target: torch.nn.Identity}}
    cond_stage_config:
      target: ldm.modules.encoders.modules.FrozenCLIPEmbedder
"""


def _multiples(channels: tuple[int, ...]) -> list[int]:
    """Channels by level as multiples of the first, which is the only way LDM has."""
    if any(each % channels[0] for each in channels):
        raise BadRequest(f"channels {channels}: Stable Diffusion 1 needs multiples of the first.", field="channels")
    return [each // channels[0] for each in channels]
