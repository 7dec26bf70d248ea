"""A1111's name of old for `modules.infotext_utils`."""

import sys

from modules.compat import texts

sys.modules[__name__] = texts
