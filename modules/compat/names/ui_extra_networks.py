"""A1111's `modules.ui_extra_networks`."""

from modules.compat.small import ExtraNetworksPage, extra_pages, register_page

__all__ = ["ExtraNetworksPage", "extra_pages", "register_page"]
