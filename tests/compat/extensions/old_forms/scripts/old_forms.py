"""Forms of older extensions: Gradio 3 while loading, widgets made with the script, the page's paste fields."""

import gradio as gr

import modules.infotext_utils as parameters_copypaste
from modules import script_callbacks, scripts, ui
from modules.ui import create_override_settings_dropdown, ordered_ui_categories, resize_from_to_html

BASE = gr.components.IOComponent
CATEGORIES = ordered_ui_categories()
SIZES = resize_from_to_html(64, 32, 2)


class MadeEarly(scripts.Script):
    def __init__(self):
        self.early = gr.Dropdown(["a", "b"], value="b", label="Early", tooltip="gone", elem_id="old_forms_early")

    def title(self):
        return "Old forms"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        self.early.render()
        return [self.early]


def tab():
    prompt, negative = ui.txt2img_paste_fields[0][0], ui.txt2img_paste_fields[1][0]
    with gr.Blocks(analytics_enabled=False) as page:
        with gr.Row() as row:
            create_override_settings_dropdown("old_forms", row)
        text = gr.Textbox("a cat\nSteps: 3", label="Text", elem_id="old_forms_text")
        picture = gr.Image(type="pil", label="Picture", elem_id="old_forms_picture")
        write = gr.Button("Write", elem_id="old_forms_write")
        write.click(lambda: ("a prompt", "a negative"), inputs=[], outputs=[prompt, negative])
        buttons = parameters_copypaste.create_buttons(["txt2img", "img2img"])
        for name, button in buttons.items():
            button.elem_id = f"old_forms_to_{name}"
        parameters_copypaste.bind_buttons(buttons, picture, text)
        across = gr.Button("Across", elem_id="old_forms_across")
        parameters_copypaste.register_paste_params_button(
            parameters_copypaste.ParamBinding(across, "img2img", source_tabname="txt2img")
        )
    return [(page, "Old forms", "old_forms")]


script_callbacks.on_ui_tabs(tab)
