"""Languages: files of A1111's format, the user's before Easel's own."""

from __future__ import annotations

import json
from pathlib import Path

from modules.core.paths import Paths
from modules.web.ui import localization


def test_the_users_file_wins_and_a_damaged_one_says_nothing(tmp_path: Path) -> None:
    paths = Paths.make(root=tmp_path / "root", data_dir=tmp_path / "data")
    for folder, texts in ((paths.root, {"Generate": "own"}), (paths.data, {"Generate": "Erzeugen"})):
        (folder / "localizations").mkdir(parents=True)
        (folder / "localizations" / "de.json").write_text(json.dumps(texts))
    (paths.data / "localizations" / "bad.json").write_text("{")
    assert localization.names(paths) == ["None", "de", "bad"]
    assert localization.texts(paths, "de") == {"Generate": "Erzeugen"}
    assert localization.texts(paths, "bad") == localization.texts(paths, "None") == {}
