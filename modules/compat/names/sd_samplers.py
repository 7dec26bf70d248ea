"""A1111's `modules.sd_samplers`."""

import sys

from modules.compat import sampling

sys.modules[__name__] = sampling
