"""A1111's `modules.gradio_extensons` (its own spelling)."""

from modules.compat import gradio3

gradio3.settle()
