"""`extra_networks`: tags in prompts as A1111's code reads them, and kinds of networks that extensions add.

LoRA and hypernetwork tags are Easel's own affair; for any other word that a class was registered for, its activate()
and deactivate() are called.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from modules.prompts.network_tags import Tag

log = logging.getLogger(__name__)

extra_network_registry: dict[str, Any] = {}
extra_network_aliases: dict[str, Any] = {}
re_extra_net = re.compile(r"<(\w+):([^>]+)>")


class ExtraNetworkParams:
    """What stands in a tag behind its word: values by place, and by name."""

    def __init__(self, items: Iterable[str] | None = None) -> None:
        self.items = list(items or [])
        self.positional: list[str] = []
        self.named: dict[str, str] = {}
        for item in self.items:
            name, equals, value = item.partition("=")
            if equals and "=" not in value:
                self.named[name] = value
            else:
                self.positional.append(item)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExtraNetworkParams) and self.items == other.items

    __hash__ = None  # type: ignore[assignment]


class ExtraNetwork:
    """Base of a kind that an extension adds."""

    def __init__(self, name: str) -> None:
        self.name = name

    def activate(self, p: Any, params_list: list[ExtraNetworkParams]) -> None:
        raise NotImplementedError

    def deactivate(self, p: Any) -> None:
        raise NotImplementedError


def register_extra_network(extra_network: ExtraNetwork) -> None:
    extra_network_registry[extra_network.name] = extra_network


def register_extra_network_alias(extra_network: ExtraNetwork, alias: str) -> None:
    extra_network_aliases[alias] = extra_network


def initialize() -> None:
    """Forget what was registered."""
    extra_network_registry.clear()
    extra_network_aliases.clear()


def parse_prompt(prompt: str) -> tuple[str, dict[str, list[ExtraNetworkParams]]]:
    """The prompt without tags, and their values by word."""
    found: dict[str, list[ExtraNetworkParams]] = defaultdict(list)

    def take(match: re.Match[str]) -> str:
        found[match.group(1)].append(ExtraNetworkParams(match.group(2).split(":")))
        return ""

    return re_extra_net.sub(take, prompt), found


def parse_prompts(prompts: list[str]) -> tuple[list[str], Any]:
    """All prompts without tags, and the values of the first one's."""
    parsed = [parse_prompt(prompt) for prompt in prompts]
    return [text for text, _ in parsed], parsed[0][1] if parsed else {}


def data_of(tags: Iterable[Tag]) -> dict[str, list[ExtraNetworkParams]]:
    """A batch's tags in A1111's form."""
    found: dict[str, list[ExtraNetworkParams]] = defaultdict(list)
    for tag in tags:
        named = [f"{name}={value}" for name, value in tag.named.items()]
        found[tag.word].append(ExtraNetworkParams([*tag.positional, *named]))
    return found


def activate(p: Any, data: Any) -> None:
    """Call the registered kinds: with the tags of each, or with none."""
    for name, network in {**extra_network_registry, **extra_network_aliases}.items():
        if name in extra_network_aliases and name not in data:
            continue
        try:
            network.activate(p, list(data.get(name, ())))
        except Exception:
            log.exception("The extra network %s could not be activated.", name)


def deactivate(p: Any, data: Any) -> None:
    for name, network in extra_network_registry.items():
        try:
            network.deactivate(p)
        except Exception:
            log.exception("The extra network %s could not be deactivated.", name)


def get_user_metadata(filename: str | None, lister: Any = None) -> dict[str, Any]:
    """The .json beside a file; {} where there is none."""
    import json
    import os

    path = os.path.splitext(filename or "")[0] + ".json"
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
