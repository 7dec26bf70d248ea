import gradio as gr

from modules import scripts


class Script(scripts.Script):
    def title(self):
        return "Broken widgets"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        with gr.Blocks():
            raise RuntimeError("no widgets today")
