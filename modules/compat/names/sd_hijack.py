"""A1111's `modules.sd_hijack`."""

import sys

from modules.compat import hijack

sys.modules[__name__] = hijack
