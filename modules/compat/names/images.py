"""A1111's `modules.images`."""

import sys

from modules.compat import picture

sys.modules[__name__] = picture
