"""A1111's `modules.scripts_postprocessing`."""

import sys

from modules.compat import postprocessing

sys.modules[__name__] = postprocessing
