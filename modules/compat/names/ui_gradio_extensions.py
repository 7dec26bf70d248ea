"""A1111's `modules.ui_gradio_extensions`."""

from modules.compat.small import css_html, javascript_html, webpath

__all__ = ["css_html", "javascript_html", "webpath"]
