"""A1111's `modules.textual_inversion.dataset`."""

import re

__all__ = ["re_numbers_at_start"]

re_numbers_at_start = re.compile(r"^[-\d]+\s*")
