"""A1111's `modules.ui_prompt_styles`."""

from modules.compat.widgets import materialize_styles, styles_edit_symbol, styles_materialize_symbol

__all__ = ["materialize_styles", "styles_edit_symbol", "styles_materialize_symbol"]
