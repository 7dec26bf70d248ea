"""Copies the model and as many covered cases of A1111 as there is room for from shared/reference into this folder.

    python tests/reference/pick.py

A stranger's clone then proves the fidelity too, without the whole reference (118 MB).
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.reference.cases import SHARED, Case, covered, read, scripted  # noqa: E402

MODELS = ("Stable-diffusion/tiny-sd1.safetensors", "Lora/*", "embeddings/*", "hypernetworks/*", "styles.csv")
MOST = 24_500_000
"""Bytes of the models, the pictures and the texts together."""


def main() -> None:
    models = [path for pattern in MODELS for path in sorted((SHARED / "models").glob(pattern))]
    room = MOST - sum(path.stat().st_size for path in models)
    cases = _fitting([case for case in read(SHARED) if (covered(case) or scripted(case)) and _alone(case)], room)
    for source in models:
        _copy(source, HERE / "models" / source.relative_to(SHARED / "models"))
    shutil.rmtree(HERE / "golden", ignore_errors=True)
    for source in {path for case in cases for path in _files(case)}:
        _copy(source, HERE / "golden" / source.relative_to(SHARED / "golden"))
    lines = [json.dumps(_slim(case)) for case in cases]
    (HERE / "golden" / "cases.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(cases)} cases, {sum(len(case.images) for case in cases)} pictures")


def _fitting(cases: list[Case], room: int) -> list[Case]:
    """As many as fit into so many bytes: the first of every group, then the second of every group …"""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.raw["group"], []).append(case)
    chosen: set[str] = set()
    files: set[Path] = set()
    for turn in itertools.zip_longest(*groups.values()):
        for case in turn:
            if case is None:
                continue
            more = _files(case) - files
            size = sum(path.stat().st_size for path in more) + len(json.dumps(_slim(case)))
            if size <= room:
                room -= size
                files |= more
                chosen.add(case.name)
    return [case for case in cases if case.name in chosen]


def _files(case: Case) -> set[Path]:
    """The pictures that A1111 gave, and those that the request begins with."""
    golden = SHARED / "golden"
    asked = re.findall(r"@(inputs/[^\"]+)", json.dumps(case.request))
    return {golden / name for name in (*case.images, *asked)}


def _alone(case: Case) -> bool:
    """Whether the one checkpoint that is copied is enough; the others, and the separate VAE, are 80 MB more."""
    settings = case.request.get("override_settings", {})
    others = (case.request.get(field) for field in ("refiner_checkpoint", "hr_checkpoint_name"))
    return case.raw["checkpoint"] == "tiny-sd1" and not any(others) and not settings.get("sd_vae")


def _slim(case: Case) -> dict[str, object]:
    return {key: value for key, value in case.raw.items() if key != "seconds"}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
