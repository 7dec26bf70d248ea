"""Written as extensions of A1111 are: tells of every call, and changes what its arguments ask for."""

import gradio as gr
from beside import MARK

from modules import script_callbacks, scripts, shared
from modules.processing import Processed, process_images
from modules.ui_components import FormRow, InputAccordion, ToolButton

HEARD = []
STARTED = []
AT = scripts.basedir()


def tell(name, *more):
    HEARD.append((name, *more))
    if name.endswith(("component", "ui", "tabs", "started", "settings")):
        STARTED.append((name, *more))


class EveryHook(scripts.Script):
    def __init__(self):
        self.infotext_fields = []
        self.paste_field_names = []

    def title(self):
        return "Every Hook"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        with InputAccordion(False, label="Every hook", elem_id=self.elem_id("enabled")) as enabled:
            with FormRow():
                word = gr.Textbox("", label="Word", elem_id=self.elem_id("word"), tooltip="gone since Gradio 4")
                change = gr.Dropdown(["nothing", "noise", "cond", "denoised", "guided", "picture"], label="Change")
            gr.Button("Not an input", visible=False, elem_id=self.elem_id("hidden"))
            ToolButton("x", tooltip="small")
        self.infotext_fields = [
            (word, "Every word"),
            (enabled, lambda parsed: "Every word" in parsed),
            (change, lambda parsed: gr.update(value="noise") if "Every change" in parsed else None),
        ]
        self.paste_field_names = ["Every word"]
        return [enabled, word, change]

    def setup(self, p, enabled, word, change):
        tell("setup", enabled)

    def before_process(self, p, enabled, word, change):
        tell("before_process")
        if enabled and word == "steps":
            p.steps = 2

    def process(self, p, enabled, word, change):
        tell("process", len(p.all_prompts), p.all_seeds[:])
        if enabled and word:
            p.extra_generation_params["Every word"] = word
            p.extra_generation_params["Every place"] = lambda p, index, **kwargs: index
        if word == "prompt":
            p.all_prompts = ["a dog" for _ in p.all_prompts]
        if word == "width":
            p.width = 128
        p.own_attribute = MARK

    def before_process_batch(self, p, enabled, word, change, batch_number, prompts, seeds, subseeds):
        tell("before_process_batch", batch_number, prompts[:], seeds[:])

    def after_extra_networks_activate(self, p, *args, batch_number, prompts, seeds, subseeds, extra_network_data):
        tell("after_extra_networks_activate", sorted(extra_network_data))

    def process_batch(self, p, *args, batch_number, prompts, seeds, subseeds):
        tell("process_batch", p.own_attribute, prompts[:])

    def process_before_every_sampling(self, p, enabled, word, change, x, noise, c, uc):
        tell("process_before_every_sampling", tuple(x.shape), len(c.batch), len(uc))
        if change == "noise":
            noise *= 0.5

    def before_hr(self, p, *args):
        tell("before_hr", p.is_hr_pass)

    def on_mask_blend(self, p, mba, *args):
        tell("on_mask_blend", mba.is_final_blend)

    def post_sample(self, p, ps, *args):
        tell("post_sample", tuple(ps.samples.shape))

    def postprocess_batch(self, p, *args, images, batch_number):
        tell("postprocess_batch", tuple(images.shape), float(images.min()) >= 0)

    def postprocess_batch_list(self, p, pp, *args, batch_number):
        tell("postprocess_batch_list", len(pp.images))

    def postprocess_image(self, p, pp, enabled, word, change):
        tell("postprocess_image", p.batch_index)
        if change == "picture":
            pp.image = pp.image.transpose(0)

    def postprocess_maskoverlay(self, p, ppmo, *args):
        tell("postprocess_maskoverlay", ppmo.index)

    def postprocess_image_after_composite(self, p, pp, *args):
        tell("postprocess_image_after_composite", pp.image.size)

    def postprocess(self, p, processed, enabled, word, change):
        tell("postprocess", len(processed.images), processed.infotexts[0])
        if word == "more":
            processed.images.append(processed.images[0].transpose(0))
            processed.infotexts.append("an added one")

    def before_component(self, component, **kwargs):
        tell("before_component", kwargs.get("elem_id"))

    def after_component(self, component, **kwargs):
        tell("after_component", kwargs.get("elem_id"))


class Chosen(scripts.Script):
    def title(self):
        return "Twice"

    def ui(self, is_img2img):
        times = gr.Slider(minimum=1, maximum=4, step=1, value=2, label="Times", elem_id=self.elem_id("times"))
        return [times]

    def run(self, p, times):
        p.do_not_save_grid = True
        first = process_images(p)
        images, texts = list(first.images), list(first.infotexts)
        for more in range(1, int(times)):
            p.seed = first.seed + more
            made = process_images(p)
            images += made.images
            texts += made.infotexts
        return Processed(p, images, first.seed, first.info, infotexts=texts)


def settings():
    section = ("every", "Every hook")
    shared.opts.add_option(
        "every_number",
        shared.OptionInfo(3, "Number", gr.Slider, {"minimum": 0, "maximum": 9, "step": 1}, section=section),
    )
    shared.opts.add_option("every_text", shared.OptionInfo("a", "Text", section=section).info("some").needs_restart())
    tell("ui_settings")


def changing():
    state = {"change": ""}

    def denoiser(params):
        tell("cfg_denoiser", tuple(params.x.shape), tuple(params.text_cond.shape), tuple(params.text_uncond.shape))
        tell("cfg_denoiser_step", params.sampling_step, params.total_sampling_steps, tuple(params.sigma.shape))
        if state["change"] == "cond":
            params.text_cond = params.text_cond * 0.5
        if state["change"] == "rows":
            params.x = params.x * 0.9

    def denoised(params):
        tell("cfg_denoised", tuple(params.x.shape))
        if state["change"] == "denoised":
            params.x *= 0.9

    def guided(params):
        tell("cfg_after_cfg", tuple(params.x.shape))
        if state["change"] == "guided":
            params.x = params.x * 0.9

    script_callbacks.on_cfg_denoiser(denoiser)
    script_callbacks.on_cfg_denoised(denoised)
    script_callbacks.on_cfg_after_cfg(guided)
    return state


CHANGES = changing()
script_callbacks.on_ui_settings(settings)
script_callbacks.on_before_ui(lambda: tell("before_ui"))
script_callbacks.on_app_started(
    lambda blocks, app: (tell("app_started"), app.get("/every-hook")(lambda: {"mark": MARK}))
)
script_callbacks.on_model_loaded(lambda model: tell("model_loaded", model.sd_checkpoint_info.name, model.is_sd1))
script_callbacks.on_before_image_saved(lambda params: tell("before_image_saved", "parameters" in params.pnginfo))
script_callbacks.on_image_saved(lambda params: tell("image_saved", params.filename, params.p is not None))
script_callbacks.on_image_grid(lambda params: tell("image_grid", len(params.imgs), params.cols, params.rows))
script_callbacks.on_extra_noise(lambda params: tell("extra_noise", tuple(params.noise.shape)))
script_callbacks.on_infotext_pasted(lambda text, params: params.update({"Every word": "pasted"}))
script_callbacks.on_script_unloaded(lambda: tell("script_unloaded"))
script_callbacks.on_before_component(lambda component, **kwargs: tell("on_before_component", kwargs.get("elem_id")))
script_callbacks.on_after_component(lambda component, **kwargs: tell("on_after_component", kwargs.get("elem_id")))


def tab():
    with gr.Blocks(analytics_enabled=False) as page:
        with gr.Box():
            shown = gr.Textbox(label="Shown", elem_id="every_shown").style(container=False)
            button = gr.Button("Fill", elem_id="every_fill")
            picture = gr.Image(label="Picture", source="upload", tool="sketch", type="pil", elem_id="every_picture")
            plain = gr.Image(label="Plain", source="upload", type="pil", interactive=True, mirror_webcam=False)
            menu = gr.Dropdown(["a", "b"], label="Menu", elem_id="every_menu")
        button.click(fn=None, _js="() => 'filled'", inputs=[], outputs=[shown], show_progress=False)
        button.click(lambda: gr.Dropdown.update(choices=["c"], value="c"), inputs=[], outputs=[menu]).then(
            fn=None, _js="() => {}", inputs=[], outputs=[]
        )
    tell("ui_tabs", type(picture).__name__, type(plain).__name__, menu.value)
    return [(page, "Every", "every_tab")]


script_callbacks.on_ui_tabs(tab)
