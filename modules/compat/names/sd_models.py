"""A1111's `modules.sd_models`."""

import sys

from modules.compat import checkpoints

sys.modules[__name__] = checkpoints
