"""A1111's `modules.ui`."""

import sys

from modules.compat import widgets

sys.modules[__name__] = widgets
