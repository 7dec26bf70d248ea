"""A1111's `modules.ui_components`."""

import sys

from modules.compat import components

sys.modules[__name__] = components
