"""Does one of A1111's extensions load? Run in a process of its own by `plugins.installing.trial`.

`python -m modules.trying FOLDER DATA` makes the program on the empty folder DATA, without its page, lets it run the
extension's scripts, and writes DATA/failed.json: {"error": one line, "traceback", "all": whether nothing loaded}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from modules.app import App
from modules.plugins.installing.trial import leave
from modules.settings.flags import parse

FAILED = "failed.json"


def main(words: Sequence[str]) -> int:
    """0, whatever the scripts do: what they raise is written down."""
    folder, data = Path(words[0]), Path(words[1])
    flags = ["--data-dir", str(data), "--nowebui", "--disable-all-extensions", "--use-cpu", "all"]
    app = App(parse(flags))
    made = app.guests.load(folder)
    app.guests.loaded()
    told = {"error": made.error, "traceback": made.traceback, "all": bool(made.error) and not made.worked}
    (data / FAILED).write_text(json.dumps(told), "utf-8")
    return 0


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
