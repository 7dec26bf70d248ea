"""A1111's `modules.sd_unet`."""

import sys

from modules.compat import unets

sys.modules[__name__] = unets
