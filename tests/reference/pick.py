"""Copies the model and the cases of A1111 that Easel covers today from shared/reference into this folder.

    python tests/reference/pick.py

A stranger's clone then proves the fidelity too, without the whole reference (118 MB).
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.reference.cases import SHARED, Case, covered, read, scripted  # noqa: E402

MODELS = ("Stable-diffusion/tiny-sd1.safetensors", "Lora/*", "embeddings/*", "hypernetworks/*", "VAE/*", "styles.csv")


def main() -> None:
    cases = [case for case in read(SHARED) if (covered(case) or scripted(case)) and _alone(case)]
    models = SHARED / "models"
    for source in (path for pattern in MODELS for path in models.glob(pattern)):
        _copy(source, HERE / "models" / source.relative_to(models))
    shutil.rmtree(HERE / "golden", ignore_errors=True)
    for case in cases:
        for image in case.images:
            _copy(SHARED / "golden" / image, HERE / "golden" / image)
    lines = [json.dumps(_slim(case)) for case in cases]
    (HERE / "golden" / "cases.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(cases)} cases, {sum(len(case.images) for case in cases)} pictures")


def _alone(case: Case) -> bool:
    """Whether the one checkpoint that is copied is enough; the others are 75 MB more."""
    others = ("refiner_checkpoint", "hr_checkpoint_name")
    return case.raw["checkpoint"] == "tiny-sd1" and not any(case.request.get(field) for field in others)


def _slim(case: Case) -> dict[str, object]:
    return {key: value for key, value in case.raw.items() if key != "seconds"}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
