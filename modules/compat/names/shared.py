"""A1111's `modules.shared`."""

import sys

from modules.compat.shared import Shared

sys.modules[__name__].__class__ = Shared
