"""A1111's patterns for names of files and folders: "[seed]-[prompt_spaces]" -> "1234-a cat in a garden".

`saving` names pictures with it, `generate.save` asks for the folder. Whatever a prompt, a user or a pattern contains,
a name is one valid component of a path on every system, and a folder lies in the one it was asked for.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import hashlib
import re
import string
import zoneinfo
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from modules.imaging.policy import SavePolicy

_INVALID = re.compile(r'[#<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')  # as in A1111, and what no system can show or store
_TOKEN = re.compile(r"\[([^\[\]]+)\]")
_ARGUMENT = re.compile(r"<([^<>]*)>")
_NOT_WORDS = re.compile(rf"[\s{re.escape(string.punctuation)}]+")
_LONGEST_VALUE = 128  # characters of one value
_LONGEST_NAME = 230  # bytes; file systems take 255, the rest is for number, suffix and ending
_DEVICES = frozenset({"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}) | {
    f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"
}  # Windows opens these instead of a file, whatever the ending


@dataclasses.dataclass(frozen=True, kw_only=True)
class NameFacts:
    """What patterns can tell of a picture; None = not known, then the token stays as it is.

    batch_index counts 0.. in its batch, iteration 0.. in its job; seeds are those of the whole job; styles are names,
    style_prompts their texts; scheduler is the label of what was really used ("Karras", not "Automatic").
    """

    seed: int | None = None
    seeds: tuple[int, ...] = ()
    prompt: str = ""
    negative_prompt: str = ""
    styles: tuple[str, ...] = ()
    style_prompts: tuple[str, ...] = ()
    steps: int | None = None
    cfg_scale: float | None = None
    sampler: str | None = None
    scheduler: str | None = None
    model_name: str | None = None
    model_hash: str | None = None
    vae_filename: str | None = None
    clip_skip: int | None = None
    denoising: float | None = None
    user: str | None = None
    job_timestamp: str | None = None
    batch_index: int = 0
    batch_size: int = 1
    iteration: int = 0
    n_iter: int = 1


def apply(
    pattern: str,
    facts: NameFacts,
    *,
    image: Image.Image,
    now: datetime.datetime,
    policy: SavePolicy | None = None,
) -> str:
    """The pattern with its tokens replaced. Values hold no separators of paths; the pattern's own text is not changed.

    A naive `now` is local time. Unknown tokens stay as they are; some, such as [batch_number] of a batch of one, vanish
    together with the text between them and the token before. Raises nothing.
    """
    picture = _Picture(facts, image, now, policy or SavePolicy())
    done: list[str] = []
    position = 0
    for token in _TOKEN.finditer(pattern):
        before = pattern[position : token.start()]
        position = token.end()
        value = _value(picture, token[1])
        if value is _Skip.SKIP:
            continue
        done += [before, token[0] if value is None else sanitize(str(value))]
    return "".join(done) + pattern[position:]


def decoration(policy: SavePolicy, facts: NameFacts, *, image: Image.Image, now: datetime.datetime) -> str:
    """The part of a file's name that the pattern makes, fit to be a name; "" if the name is only a number."""
    if policy.short or facts.seed is None:
        return ""
    default = "[seed]" if policy.save_to_dirs else "[seed]-[prompt_spaces]"
    return component(apply(policy.pattern or default, facts, image=image, now=now, policy=policy))


def folder(data: Path, policy: SavePolicy, facts: NameFacts, *, image: Image.Image, now: datetime.datetime) -> Path:
    """Where the picture belongs: the policy's folder (relative ones under `data`) and the sub-folder by the pattern.

    Slashes in the pattern itself make nested folders; ".." and empty parts are left out. Touches no file.
    """
    base = data / policy.outdir
    if not policy.save_to_dirs:
        return base
    inner = apply(policy.directories_pattern or "[prompt_words]", facts, image=image, now=now, policy=policy)
    return base.joinpath(*filter(None, (component(part) for part in re.split(r"[/\\]", inner))))


def component(text: str) -> str:
    """The text as one component of a path, valid on every system, at most 230 bytes; "" if nothing is left."""
    text = _cut(_INVALID.sub("_", text).lstrip(" "))
    return _cut(f"_{text}") if text.split(".")[0].rstrip(" ").upper() in _DEVICES else text


def _cut(name: str) -> str:
    return name.encode()[:_LONGEST_NAME].decode(errors="ignore").rstrip(" .")


def sanitize(text: str, *, replace_spaces: bool = False) -> str:
    """A value as part of a name: separators and other special characters become "_", at most 128 characters."""
    text = text.replace(" ", "_") if replace_spaces else text
    return _INVALID.sub("_", text).lstrip(" ")[:_LONGEST_VALUE].rstrip(" .")


def numbered(basename: str, number: int, decoration: str) -> str:
    """ "00007-1234", or "grid-0007" with a basename: the name without its ending."""
    start = f"{basename}-{number:04}" if basename else f"{number:05}"
    return f"{start}-{decoration}" if decoration else start


def next_number(names: Iterable[str], basename: str) -> int:
    """One more than the highest number among the files of a folder that are named so (without basename: all)."""
    prefix = re.escape(f"{basename}-") if basename else ""
    listed = "\0".join(("", *names, ""))  # looked through in one go: a folder may have thousands
    return max(map(int, re.findall(rf"\0{prefix}([0-9]{{1,18}})(?=[-.\0])", listed)), default=-1) + 1


# --- tokens


class _Skip(enum.Enum):
    SKIP = enum.auto()


@dataclasses.dataclass(frozen=True)
class _Picture:
    facts: NameFacts
    image: Image.Image
    now: datetime.datetime
    policy: SavePolicy


_Value: TypeAlias = "str | int | float | _Skip | None"


def _value(picture: _Picture, token: str) -> _Value:
    """The value of "seed" or "datetime<%Y><Asia/Tokyo>"; None if it is no token or its arguments make no sense."""
    name, _, rest = token.partition("<")
    arguments = _ARGUMENT.findall(f"<{rest}") if rest else []
    plain = _PLAIN.get(name.lower())
    if plain is not None:
        return plain(picture)
    with_arguments = _WITH_ARGUMENTS.get(name.lower())
    return with_arguments(picture, arguments) if with_arguments else None


def _seed_first(picture: _Picture) -> _Value:
    facts = picture.facts
    return facts.seeds[0] if facts.batch_size > 1 and facts.seeds else facts.seed


def _seed_last(picture: _Picture) -> _Value:
    facts = picture.facts
    return facts.seeds[-1] if facts.batch_size > 1 and facts.seeds else _Skip.SKIP


def _batch_number(picture: _Picture) -> _Value:
    facts = picture.facts
    return facts.batch_index + 1 if facts.batch_size > 1 else _Skip.SKIP


def _generation_number(picture: _Picture) -> _Value:
    facts = picture.facts
    if facts.batch_size == facts.n_iter == 1:
        return _Skip.SKIP
    return facts.iteration * facts.batch_size + facts.batch_index + 1


def _scheduler(picture: _Picture) -> _Value:
    scheduler = picture.facts.scheduler
    return None if scheduler is None else scheduler.capitalize()


def _sampler_scheduler(picture: _Picture) -> _Value:
    sampler, scheduler = picture.facts.sampler, _scheduler(picture)
    return None if sampler is None or scheduler is None else f"{sampler} {scheduler}"


def _styles(picture: _Picture) -> _Value:
    return ", ".join(style for style in picture.facts.styles if style != "None") or "None"


def _prompt_words(picture: _Picture) -> _Value:
    words = [word for word in _NOT_WORDS.split(picture.facts.prompt) if word]
    return " ".join(words[: picture.policy.max_prompt_words]) or "empty"


def _prompt_no_styles(picture: _Picture) -> _Value:
    prompt = picture.facts.prompt
    for style in filter(None, picture.facts.style_prompts):
        for part in filter(None, style.split("{prompt}")):
            prompt = prompt.replace(part, "").replace(", ,", ",").strip().strip(",")
        prompt = prompt.replace(style, "").strip().strip(",").strip()
    return prompt


def _vae(picture: _Picture) -> _Value:
    parts = Path(picture.facts.vae_filename or "NoneType").name.split(".")
    return parts[0] or "".join(parts[1:2])


def _denoising(picture: _Picture) -> _Value:
    return picture.facts.denoising or _Skip.SKIP


def _has_prompt(picture: _Picture, arguments: list[str]) -> _Value:
    """[hasprompt<cat|animal><girl>]: of each argument the word if the prompt has it, else what follows the bar."""
    prompt = picture.facts.prompt.lower()
    found = ""
    for word, _, default in (argument.partition("|") for argument in arguments):
        found += word.lower() if word.lower() in prompt else default.split("|")[0]
    return sanitize(found, replace_spaces=True)


def _datetime(picture: _Picture, arguments: list[str]) -> _Value:
    """[datetime<Format><Time Zone>], both optional."""
    default = "%Y%m%d%H%M%S"
    form, zone, *_ = [*arguments, "", ""]
    moment = picture.now.astimezone(_time_zone(zone))
    try:
        return moment.strftime(form or default) or moment.strftime(default)
    except ValueError:
        return moment.strftime(default)


def _time_zone(name: str) -> datetime.tzinfo | None:
    """None, the local zone, for a name that is unknown."""
    try:
        return zoneinfo.ZoneInfo(name) if name else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
        return None


def _image_hash(picture: _Picture, arguments: list[str]) -> _Value:
    return _hash(picture.image.tobytes(), arguments, 64)


def _hash_of(text: Callable[[NameFacts], str]) -> Callable[[_Picture, list[str]], _Value]:
    def hashed(picture: _Picture, arguments: list[str]) -> _Value:
        return _hash(text(picture.facts).encode("utf-8", "surrogatepass"), arguments, 8)

    return hashed


def _hash(data: bytes, arguments: list[str], length: int) -> _Value:
    wanted = arguments[0] if arguments else ""
    if wanted and not (wanted.isascii() and wanted.isdecimal() and len(wanted) < 4):
        return None
    return hashlib.sha256(data).hexdigest()[: int(wanted or length)]


_PLAIN: dict[str, Callable[[_Picture], _Value]] = {
    "seed": lambda picture: picture.facts.seed,
    "seed_first": _seed_first,
    "seed_last": _seed_last,
    "steps": lambda picture: picture.facts.steps,
    "cfg": lambda picture: picture.facts.cfg_scale,
    "sampler": lambda picture: picture.facts.sampler,
    "scheduler": _scheduler,
    "sampler_scheduler": _sampler_scheduler,
    "width": lambda picture: picture.image.width,
    "height": lambda picture: picture.image.height,
    "styles": _styles,
    "date": lambda picture: picture.now.strftime("%Y-%m-%d"),
    "job_timestamp": lambda picture: picture.facts.job_timestamp,
    "model_name": lambda picture: picture.facts.model_name,
    "model_hash": lambda picture: picture.facts.model_hash,
    "prompt": lambda picture: sanitize(picture.facts.prompt, replace_spaces=True),
    "prompt_spaces": lambda picture: picture.facts.prompt,
    "prompt_words": _prompt_words,
    "prompt_no_styles": _prompt_no_styles,
    "batch_number": _batch_number,
    "batch_size": lambda picture: picture.facts.batch_size,
    "generation_number": _generation_number,
    "clip_skip": lambda picture: picture.facts.clip_skip,
    "denoising": _denoising,
    "user": lambda picture: picture.facts.user,
    "vae_filename": _vae,
    "none": lambda picture: "",
    "basename": lambda picture: picture.policy.basename or "img",
}

_WITH_ARGUMENTS: dict[str, Callable[[_Picture, list[str]], _Value]] = {
    "datetime": _datetime,
    "hasprompt": _has_prompt,
    "image_hash": _image_hash,
    "prompt_hash": _hash_of(lambda facts: facts.prompt),
    "negative_prompt_hash": _hash_of(lambda facts: facts.negative_prompt),
    "full_prompt_hash": _hash_of(lambda facts: f"{facts.prompt} {facts.negative_prompt}"),
}
