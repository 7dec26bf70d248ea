"""Settings, "Import from A1111": what is ticked comes over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from modules.settings import a1111
from modules.web.ui import defaults, importing
from tests.web.ui.fakes import World


def test_what_is_ticked_comes_over(make_world: Callable[..., World], tmp_path: Path) -> None:
    services = make_world().services
    old = tmp_path / "webui"
    (old / "models" / "Lora").mkdir(parents=True)
    (old / "models" / "Lora" / "b.safetensors").write_bytes(b"x")
    (old / "webui.py").touch()
    (old / "config.json").write_text(json.dumps({"jpeg_quality": 55}))
    (old / "ui-config.json").write_text(json.dumps({"txt2img/Width/value": 640, "txt2img/Width/visible": True}))
    (old / "styles.csv").write_text("name,prompt,negative_prompt\nfine,oil,\n")
    found = a1111.look(old)
    importing.brought(found, [importing.STYLES], services)
    assert list(services.styles.read()) == ["fine"]
    assert services.options.snapshot()["jpeg_quality"] == 80
    words = importing.brought(found, list(importing.PARTS), services)
    assert services.options.snapshot()["jpeg_quality"] == 55
    assert defaults.read(services.paths.ui_config) == {"txt2img/Width/value": 640}
    assert a1111.extra(services.paths.data / a1111.FILE) == {"loras": (old / "models" / "Lora",)}
    assert "0 styles are new." in words
    assert "1 settings changed." in words
