"""A1111's `modules.cache`."""

import sys

from modules.compat import caching

sys.modules[__name__] = caching
