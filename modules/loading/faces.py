"""Restoring faces: found by RetinaFace, restored by GFPGAN or CodeFormer one at a time, pasted back with a soft edge.

The edge is that of the face where the user has ParseNet (`face_parts`), else that of the square around it.

All networks come from files on the user's disk, under the names they were published with and in A1111's folders; where
one is missing, `problem` says which file belongs where. Nothing is downloaded.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from modules.core.errors import DamagedFile, EaselError, NotFound
from modules.loading.walking import walk

if TYPE_CHECKING:
    from modules.core.device import Placement
    from modules.loading.face_parts import FaceParts
    from modules.loading.retinaface import RetinaFace

Reals = NDArray[np.float64]

SIDE = 512
"""Pixels of the square in which the networks want an upright face."""
TEMPLATE: Reals = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""Where eyes, nose and corners of the mouth are in it: the average face of FFHQ, as both networks learned it."""
_OUTSIDE = (135, 133, 132)  # what a face at the picture's border has around it
_ENDINGS = (".pth", ".safetensors", ".pt")
DETECTOR = "detection_Resnet50_Final.pth"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Restorer:
    """folder: below models/; mark: what its files' names contain; file: the published one; architecture: spandrel's
    name of it; package: what must be installed for it, "" = nothing more; part: its word for --use-cpu.
    """

    name: str
    folder: str
    mark: str
    file: str
    architecture: str
    part: str
    package: str = ""


RESTORERS = (
    Restorer(
        name="CodeFormer",
        folder="Codeformer",
        mark="codeformer",
        file="codeformer-v0.1.0.pth",
        architecture="CodeFormer",
        part="codeformer",
        package="spandrel_extra_arches",
    ),
    Restorer(
        name="GFPGAN", folder="GFPGAN", mark="gfpgan", file="GFPGANv1.4.pth", architecture="GFPGAN", part="gfpgan"
    ),
)


class FaceRestorers:
    """Both of them. folders: by the name of their folder below models/; files: a file that a flag names, by restorer;
    placement: where a part ("gfpgan") computes. Networks are kept until `release`; one at a time works.
    """

    def __init__(
        self,
        folders: Mapping[str, Sequence[Path]],
        placement: Callable[[str], Placement],
        *,
        files: Mapping[str, Path] | None = None,
    ) -> None:
        self.folders = folders
        self._files = files or {}
        self._placement = placement
        self._at_work = threading.RLock()
        self._networks: dict[tuple[Path, Placement], Any] = {}

    def names(self) -> list[str]:
        return [row.name for row in RESTORERS]

    def problem(self, name: str) -> str:
        """Why this restorer cannot work, in words, with the way out; "" if it can. Raises NotFound."""
        row = self._row(name)
        if self._file(row) is None:
            return f"{row.name} needs its network: put {row.file} into {self.folders[row.folder][0]}."
        if row.package and importlib.util.find_spec(row.package) is None:
            return (
                f"{row.name}'s network has a licence that forbids commercial use, so it does not come with Easel: "
                f"install the package {row.package} into Easel's environment and start again."
            )
        return self.problem_of_detector()

    def problem_of_detector(self) -> str:
        """Why no faces can be found, with the way out; "" if they can."""
        if self._helper_file(DETECTOR) is None:
            return f"finding faces needs RetinaFace: put {DETECTOR} into {self.folders['GFPGAN'][0]}."
        return ""

    def restore(self, image: Image.Image, name: str, *, weight: float | None = None) -> Image.Image:
        """The RGB picture with its faces restored; itself if it has none. weight: CodeFormer's, 0 = most effect.

        Raises NotFound, DamagedFile, EaselError (what `problem` says).
        """
        problem = self.problem(name)
        if problem:
            raise EaselError(problem)
        with self._at_work:
            faces = self._detector().find(image)
            if not faces:
                return image
            network, parts = self._restorer(self._row(name)), self._parts()
            return restored(
                image,
                [face.points for face in faces],
                lambda square: _run(network, square, weight),
                soft_square if parts is None else parts.mask,
            )

    def centres(self, image: Image.Image) -> list[tuple[float, float]]:
        """Where the faces of an RGB picture are: in the middle, a third from the top. Raises as `restore`."""
        with self._at_work:
            faces = self._detector().find(image)
        boxes = [face.box for face in faces]
        return [((left + right) / 2, top + (bottom - top) * 0.33) for left, top, right, bottom in boxes]

    def release(self) -> None:
        """Forget the networks."""
        with self._at_work:
            self._networks.clear()

    def _row(self, name: str) -> Restorer:
        for row in RESTORERS:
            if row.name.casefold() == name.strip().casefold():
                return row
        raise NotFound("Face restorer", name, self.names(), field="face_restoration_model")

    def _file(self, row: Restorer) -> Path | None:
        given = self._files.get(row.name)
        found = [path for folder in self.folders.get(row.folder, ()) for path in walk(folder)]
        named = [path for path in found if row.mark in path.name.lower() and path.suffix.lower() in _ENDINGS]
        return given if given and given.is_file() else max(named, key=lambda path: path.name.lower(), default=None)

    def _helper_file(self, name: str) -> Path | None:
        """A network that both share, in the folder of either."""
        stem = Path(name).stem.lower()
        found = (path for folders in self.folders.values() for folder in folders for path in walk(folder))
        return next((path for path in found if path.stem.lower() == stem and path.suffix.lower() in _ENDINGS), None)

    def _detector(self) -> RetinaFace:
        from modules.loading import retinaface

        path = self._helper_file(DETECTOR)
        if path is None:
            raise EaselError(self.problem_of_detector())
        detector: RetinaFace = self._kept(path, self._placement("gfpgan"), retinaface.load)
        return detector

    def _parts(self) -> FaceParts | None:
        """What tells faces from hair, where the user has it."""
        from modules.loading import face_parts

        path = self._helper_file(face_parts.FILE)
        return None if path is None else self._kept(path, self._placement("gfpgan"), face_parts.load)

    def _restorer(self, row: Restorer) -> Any:
        path = self._file(row)
        assert path is not None  # `problem` has looked
        return self._kept(path, self._placement(row.part), lambda path, placement: _load(row, path, placement))

    def _kept(self, path: Path, placement: Placement, load: Callable[[Path, Placement], Any]) -> Any:
        key = (path, placement)
        if key not in self._networks:
            self._networks[key] = load(path, placement)
        return self._networks[key]


def _load(row: Restorer, path: Path, placement: Placement) -> Any:
    """spandrel's descriptor, in 32 bits: neither network is made for less."""
    from modules.loading.upscale import networks

    descriptor = networks.read(path)
    if descriptor.architecture.id != row.architecture:
        raise DamagedFile(f"{path.name}: this is a {descriptor.architecture.name} network, not {row.name}.")
    descriptor.model.to(device=placement.device).eval().requires_grad_(False)
    return descriptor


def _run(descriptor: Any, square: Image.Image, weight: float | None) -> Image.Image:
    """A face (SIDE x SIDE) restored. The networks take and give RGB in -1..1."""
    import torch

    pixels = np.asarray(square, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1
    x = torch.from_numpy(np.ascontiguousarray(pixels))[None].to(descriptor.device)
    how = {"weight": weight, "adain": True} if descriptor.architecture.id == "CodeFormer" else {"return_rgb": False}
    with torch.inference_mode():
        answer = descriptor.model(x, **how)[0]
    shown = (answer[0].float().clamp(-1, 1) + 1) * 127.5
    return Image.fromarray(shown.permute(1, 2, 0).byte().cpu().numpy())


# --- geometry


def soft_square(square: Image.Image) -> Image.Image:
    """Mode L, of the square's size: white but for a border, with a soft edge."""
    side, edge = square.width, square.width // 20
    mask = Image.new("L", square.size)
    mask.paste(255, (2 * edge, 2 * edge, side - 2 * edge, side - 2 * edge))
    return mask.filter(ImageFilter.GaussianBlur(edge / 3))


def restored(
    image: Image.Image,
    faces: Sequence[Reals],
    restore: Callable[[Image.Image], Image.Image],
    mask: Callable[[Image.Image], Image.Image] = soft_square,
) -> Image.Image:
    """The RGB picture with each face (points (5, 2), pixels) turned upright in a square, restored and laid back as far
    as its mask (mode L) is white.
    """
    for points in faces:
        to_square = similarity(points, TEMPLATE)
        square = _warped(image, to_square, (SIDE, SIDE), _OUTSIDE)
        done = restore(square)
        home = inverse(to_square)
        face = _warped(done, home, image.size, (0, 0, 0))
        image = Image.composite(face, image, _warped(mask(done), home, image.size, 0))
    return image


def similarity(points: Reals, target: Reals) -> Reals:
    """The rotation, scale and shift (2, 3) that brings points (n, 2) nearest to target (n, 2) in the mean square
    (S. Umeyama, Least-squares estimation of transformation parameters, 1991).
    """
    middle, goal = points.mean(0), target.mean(0)
    a, b = points - middle, target - goal
    left, spread, right = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    scale = (spread * sign).sum() / max(float((a**2).sum()), 1e-12)
    turn = scale * (left * sign) @ right
    return np.column_stack([turn, goal - turn @ middle])


def _warped(
    image: Image.Image, matrix: Reals, size: tuple[int, int], outside: tuple[int, int, int] | int
) -> Image.Image:
    """The picture under an affine map (2, 3) of its pixels. Pillow wants the way back."""
    back = inverse(matrix)
    return image.transform(
        size, Image.Transform.AFFINE, tuple(back.ravel()), resample=Image.Resampling.BILINEAR, fillcolor=outside
    )


def inverse(matrix: Reals) -> Reals:
    """The affine map (2, 3) that undoes another."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])
