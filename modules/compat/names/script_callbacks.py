"""A1111's `modules.script_callbacks`."""

import sys

from modules.compat import callbacks

sys.modules[__name__] = callbacks
