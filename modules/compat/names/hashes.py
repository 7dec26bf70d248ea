"""A1111's `modules.hashes`."""

import sys

from modules.compat import digests

sys.modules[__name__] = digests
