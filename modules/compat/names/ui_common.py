"""A1111's `modules.ui_common`."""

import sys

from modules.compat import widgets

sys.modules[__name__] = widgets
