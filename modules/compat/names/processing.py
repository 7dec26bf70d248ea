"""A1111's `modules.processing`."""

import sys

from modules.compat import processing

sys.modules[__name__] = processing
