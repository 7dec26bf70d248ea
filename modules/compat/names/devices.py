"""A1111's `modules.devices`."""

import sys

from modules.compat import machine

sys.modules[__name__] = machine
