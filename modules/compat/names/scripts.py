"""A1111's `modules.scripts`."""

import sys

from modules.compat import scripting

sys.modules[__name__] = scripting
