"""The steps that Easel ships, with A1111's names, arguments, defaults and order. `builtin` is their table."""

from __future__ import annotations

import dataclasses

from PIL import Image

from modules.core.errors import BadRequest, NotFound
from modules.generate.postprocess import Arguments, Piece, Step, Steps, Tools
from modules.imaging import crops
from modules.imaging.crops import SizeRange, Weights
from modules.loading.upscale.catalog import NONE, Upscaler

BY, TO = 0, 1
"""upscale_mode: by a factor, or to a size."""


# --- Upscale


@dataclasses.dataclass(frozen=True, kw_only=True)
class Enlargement:
    """How much: `scale` times; box: the size to crop to, None = no crop; told: its words in the infotext."""

    scale: float
    box: tuple[int, int] | None
    told: dict[str, object]


def _enlargement(image: Image.Image, asked: Arguments) -> Enlargement:
    if asked["upscale_mode"] == TO:
        size = int(asked["upscale_to_width"]), int(asked["upscale_to_height"])
        scale = max(size[0] / image.width, size[1] / image.height)
        told: dict[str, object] = {"Postprocess upscale to": f"{size[0]}x{size[1]}"}
        return Enlargement(scale=scale, box=size if asked["upscale_crop"] else None, told=told)
    scale = float(asked["upscale_by"])
    told = {"Postprocess upscale by": scale}
    limit = int(asked["max_side_length"])
    if limit and max(image.size) * scale > limit:
        size = limited(image.width * scale, image.height * scale, limit)
        scale = max(size[0] / image.width, size[1] / image.height)
        told["Max side length"] = limit
    return Enlargement(scale=scale, box=None, told=told)


def limited(width: float, height: float, limit: int) -> tuple[int, int]:
    """The size, shrunk in its shape until the longer side is at most `limit` (0 = no limit)."""
    if limit and height > width and height > limit:
        return max(1, int(limit * width // height)), limit
    if limit and width > limit:
        return limit, max(1, int(limit * height // width))
    return int(width), int(height)


def _look_at_size(piece: Piece, asked: Arguments, tools: Tools, /) -> None:
    """The size that the picture shall have, which the cropping steps keep to."""
    if asked["upscale_mode"] == TO:
        piece.target = int(asked["upscale_to_width"]), int(asked["upscale_to_height"])
    else:
        width, height = (int(side * asked["upscale_by"]) for side in piece.image.size)
        piece.target = limited(width, height, int(asked["max_side_length"]))


def _upscale(piece: Piece, asked: Arguments, tools: Tools, /) -> None:
    """With one upscaler, or a blend of two."""
    first = tools.upscalers.find(asked["upscaler_1_name"] or NONE, field="upscaler_1")
    second = tools.upscalers.find(asked["upscaler_2_name"] or NONE, field="upscaler_2")
    share = float(asked["upscaler_2_visibility"])
    if first.name == NONE:
        return
    enlarged = _enlarged(piece, first, asked, tools)
    piece.info["Postprocess upscaler"] = first.name
    tags = [first.name]
    if second.name != NONE and share > 0:
        other = _enlarged(piece, second, asked, tools)
        enlarged = Image.blend(enlarged, other.convert(enlarged.mode), share)
        piece.info["Postprocess upscaler 2"] = second.name
        tags.append(f"{second.name} {share}")
    if tools.options["use_upscaler_name_as_suffix"]:
        piece.tags += tags
    piece.image = enlarged


def _enlarged(piece: Piece, upscaler: Upscaler, asked: Arguments, tools: Tools) -> Image.Image:
    how = _enlargement(piece.image, asked)
    piece.info |= how.told
    image = tools.upscalers.upscale(piece.image, how.scale, upscaler.name, tools.options, on_tile=tools.on_tile)
    if how.box is None:
        return image
    cropped = Image.new("RGB", how.box)
    cropped.paste(image, box=(how.box[0] // 2 - image.width // 2, how.box[1] // 2 - image.height // 2))
    piece.info["Postprocess crop to"] = f"{how.box[0]}x{how.box[1]}"
    return cropped


def _check_upscalers(asked: Arguments, tools: Tools) -> None:
    for number in (1, 2):
        tools.upscalers.find(asked[f"upscaler_{number}_name"] or NONE, field=f"upscaler_{number}")


# --- faces


def _restore(restorer: str, visibility: float, piece: Piece, tools: Tools, weight: float | None = None) -> None:
    source = piece.image.convert("RGB")
    restored = tools.faces.restore(source, restorer, weight=weight)
    piece.image = restored if visibility >= 1 else Image.blend(source, restored, visibility)


def _gfpgan(piece: Piece, asked: Arguments, tools: Tools, /) -> None:
    _restore("GFPGAN", asked["gfpgan_visibility"], piece, tools)
    piece.info["GFPGAN visibility"] = round(asked["gfpgan_visibility"], 3)


def _codeformer(piece: Piece, asked: Arguments, tools: Tools, /) -> None:
    _restore("CodeFormer", asked["codeformer_visibility"], piece, tools, asked["codeformer_weight"])
    piece.info["CodeFormer visibility"] = round(asked["codeformer_visibility"], 3)
    piece.info["CodeFormer weight"] = round(asked["codeformer_weight"], 3)


def _check_faces(restorer: str, tools: Tools) -> None:
    problem = tools.faces.problem(restorer)
    if problem:
        field = f"{restorer.lower()}_visibility"
        raise BadRequest(f"{field}: {problem}", field=field)


# --- crops and copies


def _split(piece: Piece, asked: Arguments, tools: Tools, /) -> None:
    if piece.target:
        threshold, overlap = asked["split_threshold"], asked["overlap_ratio"]
        piece.image, *others = crops.split(piece.image, piece.target, threshold=threshold, overlap=overlap)
        piece.more += [piece.copy(other) for other in others]


def _focal_crop(piece: Piece, asked: Arguments, tools: Tools, /) -> None:
    if not piece.target:
        return
    weights = Weights(face=asked["face_weight"], entropy=asked["entropy_weight"], edges=asked["edges_weight"])
    image = crops.scaled_for(piece.image, piece.target)
    faces: list[tuple[float, float]] = []
    if weights.face > 0:
        problem = tools.faces.problem_of_detector()
        if problem:
            tools.note(f"Auto focal point crop looked for no faces: {problem}")
        else:
            faces = tools.faces.centres(image.convert("RGB"))
    focus = crops.around_focus(image, piece.target, weights, faces)
    piece.image = focus.image
    if asked["debug"]:
        piece.more.append(piece.copy(focus.debug, tag="focal-crop-debug", finished=True))


def _auto_size(piece: Piece, asked: Arguments, tools: Tools, /) -> None:
    fields = (field.name for field in dataclasses.fields(SizeRange))
    cropped = crops.to_fitting_size(piece.image, SizeRange(**{name: asked[name] for name in fields}))
    if cropped is None:
        size = f"{piece.image.width}x{piece.image.height}"
        tools.note(f"Auto-sized crop left a {size} picture as it is: no size in these bounds has its shape.")
    else:
        piece.image = cropped


def _flip(piece: Piece, asked: Arguments, tools: Tools, /) -> None:
    piece.more += [piece.copy(image) for image in crops.flips(piece.image, asked["option"])]


# --- captions


def _caption(piece: Piece, asked: Arguments, tools: Tools, /) -> None:
    _check_captioners(asked, tools)
    captions = [piece.caption, *(tools.captioners[name](piece.image.convert("RGB")) for name in asked["option"])]
    piece.caption = ", ".join(caption for caption in captions if caption)


def _check_captioners(asked: Arguments, tools: Tools) -> None:
    for name in asked["option"]:
        if name not in tools.captioners:
            hint = "Easel has no captioner of its own: an extension can add one."
            raise NotFound("Captioner", name, tools.captioners, field="steps", hint=hint)


_UPSCALE = {
    "upscale_enabled": True,
    "upscale_mode": BY,
    "upscale_by": 4.0,
    "max_side_length": 0,
    "upscale_to_width": 512,
    "upscale_to_height": 512,
    "upscale_crop": True,
    "upscaler_1_name": NONE,
    "upscaler_2_name": NONE,
    "upscaler_2_visibility": 0.0,
}
_FOCAL = {"enable": False, "face_weight": 0.9, "entropy_weight": 0.15, "edges_weight": 0.5, "debug": False}

BUILT_IN = (
    Step(
        name="Upscale",
        order=1000,
        run=_upscale,
        defaults=_UPSCALE,
        wanted=lambda asked: bool(asked["upscale_enabled"]),
        check=_check_upscalers,
        look=_look_at_size,
    ),
    Step(
        name="GFPGAN",
        order=2000,
        run=_gfpgan,
        defaults={"enable": False, "gfpgan_visibility": 1.0},
        wanted=lambda asked: asked["enable"] and asked["gfpgan_visibility"] > 0,
        check=lambda asked, tools: _check_faces("GFPGAN", tools),
    ),
    Step(
        name="CodeFormer",
        order=3000,
        run=_codeformer,
        defaults={"enable": False, "codeformer_visibility": 1.0, "codeformer_weight": 0.0},
        wanted=lambda asked: asked["enable"] and asked["codeformer_visibility"] > 0,
        check=lambda asked, tools: _check_faces("CodeFormer", tools),
    ),
    Step(
        name="Split oversized images",
        order=4000,
        run=_split,
        defaults={"enable": False, "split_threshold": 0.5, "overlap_ratio": 0.2},
    ),
    Step(name="Auto focal point crop", order=4010, run=_focal_crop, defaults=_FOCAL),
    Step(
        name="Auto-sized crop",
        order=4020,
        run=_auto_size,
        defaults={"enable": False, **dataclasses.asdict(SizeRange())},
    ),
    Step(
        name="Create flipped copies",
        order=4030,
        run=_flip,
        defaults={"enable": False, "option": ("Horizontal",)},
    ),
    Step(
        name="Caption",
        order=4040,
        run=_caption,
        defaults={"enable": False, "option": ()},
        check=_check_captioners,
    ),
)


def builtin() -> Steps:
    """A fresh table of what Easel ships."""
    return Steps(BUILT_IN)
