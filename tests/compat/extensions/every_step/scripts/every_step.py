"""A step of the Extras tab as A1111's extensions write them."""

import gradio as gr

from modules import scripts_postprocessing
from modules.ui_components import InputAccordion


class Stamp(scripts_postprocessing.ScriptPostprocessing):
    name = "Stamp"
    order = 12345

    def ui(self):
        with InputAccordion(False, label="Stamp", elem_id="every_step_stamp") as enable:
            level = gr.Slider(minimum=0, maximum=255, step=5, value=20, label="Level", elem_id="every_step_level")
            corner = gr.Radio(["left", "right"], type="index", label="Corner", elem_id="every_step_corner")
            picture = gr.Image(type="pil", label="Picture", elem_id="every_step_picture")
        return {"enable": enable, "level": level, "corner": corner, "picture": picture}

    def process(self, pp, enable, level, corner, picture):
        if not enable:
            return
        color = picture.convert("RGB").getpixel((0, 0)) if picture is not None else (level, level, level)
        left = 0 if corner == 0 else pp.image.width - 4
        pp.image.paste(color, (left, 0, left + 4, 4))
        pp.info["Stamp"] = level
