"""Faces restored as the last thing that happens to a new picture: which restorer, whether it can work, doing it.

`plan` chooses, `desk` checks before a job is queued, `run` does it; networks and geometry are `loading.faces`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modules.core.errors import BadRequest

if TYPE_CHECKING:
    from PIL import Image

    from modules.generate.plan import Plan
    from modules.loading.faces import FaceRestorers


def restorer(wanted: bool | None, options: Mapping[str, Any]) -> str | None:
    """The face restorer that a request asks for (None: as the options say), or None."""
    wish = options["face_restoration"] if wanted is None else wanted
    return options["face_restoration_model"] if wish else None


def check(faces: FaceRestorers, work: Plan) -> None:
    """Raises BadRequest(field="restore_faces") with the files to get where the plan's restorer cannot work."""
    problem = faces.problem(work.restorer) if work.restorer else ""
    if problem:
        raise BadRequest(f"restore_faces: {problem}", field="restore_faces")


def restored(faces: FaceRestorers, work: Plan, image: Image.Image) -> Image.Image:
    """The RGB picture with its faces restored, if the plan wants that. Raises DamagedFile, EaselError."""
    if work.restorer is None:
        return image
    done = faces.restore(image, work.restorer, weight=work.options["code_former_weight"])
    if work.options["face_restoration_unload"]:
        faces.release()
    return done
