"""Hangs on the model as extensions of A1111 do: hooks, other forwards, other networks, a combination of its own."""

import gradio as gr
import k_diffusion.sampling
import ldm.modules.attention
import networks
import torch
import torchvision.transforms.functional as pictures
from ldm.models.diffusion.ddpm import LatentDiffusion
from open_clip.tokenizer import _tokenizer

from modules import prompt_parser, script_callbacks, scripts, sd_hijack_optimizations, sd_unet

RESIZED = pictures.resize(torch.zeros(3, 8, 4), [4, 2]).shape
SEEN = []


class Own(gr.Button):
    """Its file is not to be found: the script is not among sys.modules."""

    def get_block_name(self):
        return "button"


class Script(scripts.Script):
    def title(self):
        return "Inside"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        Own("Mine", elem_id=self.elem_id("own"))
        return [gr.Textbox(label="What", elem_id=self.elem_id("what"))]

    def process(self, p, what):
        SEEN.append(what)
        self.handles = []
        if what == "texts":
            clip = p.sd_model.cond_stage_model
            self.handles.append(clip.register_forward_hook(lambda module, given, made: made * 0.5))
        if what == "attention":
            for name, module in p.sd_model.model.diffusion_model.named_modules():
                if name.endswith("attn2") and isinstance(module, ldm.modules.attention.CrossAttention):
                    module.forward = lambda x, context=None, mask=None: torch.zeros_like(x)
        if what == "reading":
            plain = prompt_parser.get_multicond_prompt_list
            prompt_parser.get_multicond_prompt_list = lambda prompts: plain(
                [each.replace("cat", "dog") for each in prompts]
            )
            self.plain = plain
        if what == "asked":
            assert isinstance(p.sd_model, LatentDiffusion)
            SEEN.append([each.name for each in networks.loaded_networks])

    def process_before_every_sampling(self, p, what, **kwargs):
        if what == "combining":
            p.sampler.model_wrap_cfg.combine_denoised = lambda x_out, conds_list, uncond, scale: x_out[
                : len(conds_list)
            ]

    def postprocess(self, p, processed, what):
        for handle in self.handles:
            handle.remove()
        if what == "reading":
            prompt_parser.get_multicond_prompt_list = self.plain
        if what == "attention":
            for _, module in p.sd_model.model.diffusion_model.named_modules():
                module.__dict__.pop("forward", None)


class Grey(sd_unet.SdUnet):
    def forward(self, x, timesteps, context, *args, **kwargs):
        return torch.zeros_like(x)


class GreyOption(sd_unet.SdUnetOption):
    label = "Grey"

    def create_unet(self):
        return Grey()


class Attention(sd_hijack_optimizations.SdOptimization):
    name, label = "mine", "an attention"


def train_tab(params):
    with gr.Tab("Inside training"):
        gr.Textbox(label=f"{len(params.txt2img_preview_params)} widgets", elem_id="inside_training")


script_callbacks.on_list_unets(lambda options: options.append(GreyOption()))
script_callbacks.on_list_optimizers(lambda options: options.append(Attention()))
script_callbacks.on_ui_train_tabs(train_tab)
STEPS = k_diffusion.sampling.get_sigmas_karras(3, 0.1, 10.0)
WORDS = _tokenizer.decode(_tokenizer.encode("a cat"))
