"""Tensor names of released files -> those of diffusers' classes, by a table of patterns.

diffusers' own single-file conversions (`diffusers.loaders.single_file_utils`) are what the tables are tested against;
some of those know one width only and all of them copy what they cut, while this gives views of the mapped file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from modules.loading.family import ROOTS

Cut = Callable[[Tensor], Sequence[Tensor]]
"""A tensor -> the parts that it holds."""


def whole(tensor: Tensor) -> Sequence[Tensor]:
    return (tensor,)


def thirds(tensor: Tensor) -> Sequence[Tensor]:
    """Query, key and value, which lie above one another."""
    return tensor.chunk(3)


def swapped(tensor: Tensor) -> Sequence[Tensor]:
    """The original's last modulation is (shift, scale), diffusers' is (scale, shift)."""
    shift, scale = tensor.chunk(2)
    return (torch.cat([scale, shift]),)


def rows(*sizes: int) -> Cut:
    """Parts of so many rows; -1 takes what is left."""

    def cut(tensor: Tensor) -> Sequence[Tensor]:
        rest = len(tensor) - sum(size for size in sizes if size >= 0)
        return torch.split(tensor, [rest if size < 0 else size for size in sizes])

    return cut


@dataclasses.dataclass(frozen=True)
class Rule:
    """old: the name in the file; new: those of its parts. "*" is one word between dots, the same on both sides."""

    old: str
    new: tuple[str, ...]
    cut: Cut = whole

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.escape(self.old).replace(r"\*", r"([^.]+)"))

    def named(self, words: Sequence[str]) -> list[str]:
        return [_filled(name, words) for name in self.new]


def rule(old: str, *new: str, cut: Cut = whole) -> Rule:
    """A row of a table."""
    return Rule(old, new, cut)


def translated(weights: Mapping[str, Tensor], rules: Iterable[Rule]) -> dict[str, Tensor]:
    """The tensors under diffusers' names; those that no rule knows keep theirs, and the model then refuses them."""
    table = [(each.pattern, each) for each in rules]
    result: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        found = next(((match, each) for pattern, each in table if (match := pattern.fullmatch(name))), None)
        if found is None:
            result[name] = tensor
            continue
        match, each = found
        result.update(zip(each.named(match.groups()), each.cut(tensor), strict=True))
    return result


def root(names: Iterable[str], mark: str) -> str:
    """Where the denoiser's names begin: before the first name with this mark. Raises KeyError."""
    names = list(names)
    for beginning in ROOTS:
        if any(name.startswith(beginning + mark) for name in names):
            return beginning
    raise KeyError(mark)


def count(names: Iterable[str], prefix: str) -> int:
    """How many numbered blocks begin so: "double_blocks." -> 19."""
    return len({name[len(prefix) :].split(".")[0] for name in names if name.startswith(prefix)})


def _filled(name: str, words: Sequence[str]) -> str:
    left = iter(words)
    return ".".join(next(left) if part == "*" else part for part in name.split("."))
