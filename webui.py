"""Flags -> the program -> serve. Run by launch.py in the environment that it made ready."""

from __future__ import annotations

import os
import sys

from modules.core.errors import EaselError
from modules.settings.flags import parse, with_environment


def main() -> int:
    """Serve until stopped -> exit code."""
    flags = parse(with_environment(sys.argv[1:], os.environ))
    for note in flags.notes:
        print(note, flush=True)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported
    from modules import app  # heavy, and not needed for --help or a mistyped flag

    try:
        app.build(flags).serve()
    except EaselError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
