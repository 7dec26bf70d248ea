"""A1111's `modules.extra_networks`."""

import sys

from modules.compat import extra_nets

sys.modules[__name__] = extra_nets
