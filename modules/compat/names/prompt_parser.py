"""A1111's `modules.prompt_parser`."""

import sys

from modules.compat import prompting

sys.modules[__name__] = prompting
