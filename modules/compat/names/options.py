"""A1111's `modules.options`."""

import sys

from modules.compat import options

sys.modules[__name__] = options
