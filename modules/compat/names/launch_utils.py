"""A1111's `modules.launch_utils`."""

import sys

from modules.compat import launching

sys.modules[__name__] = launching
