"""A1111's `modules.call_queue`."""

import sys

from modules.compat import turns

sys.modules[__name__] = turns
