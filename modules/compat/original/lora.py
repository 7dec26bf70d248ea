"""`lora` and `networks`, the modules of A1111's built-in LoRA extension: which there are and which the job wears.

Their weights are not here: what they do to a model is Easel's (`modules.networks`).
"""

from __future__ import annotations

import types
from typing import Any

from modules.compat import room as rooms


class NetworkOnDisk:
    """A file. alias: the name that tags may use; hash: what is known of it."""

    def __init__(self, entry: Any) -> None:
        self.name, self.alias = entry.name, entry.alias
        self.filename, self.metadata = str(entry.path), dict(entry.metadata)
        self.is_safetensors = self.filename.endswith(".safetensors")
        self.hash = self.shorthash = None
        self.sd_version = "Unknown"

    def get_alias(self) -> str:
        return str(self.alias)


class Network:
    """One that a prompt asked for. modules: empty here."""

    def __init__(self, name: str, te_multiplier: float, unet_multiplier: float) -> None:
        self.name = self.mentioned_name = name
        self.te_multiplier, self.unet_multiplier = te_multiplier, unet_multiplier
        self.multiplier, self.dyn_dim = unet_multiplier, None
        self.modules: dict[str, Any] = {}
        self.network_on_disk = available().get(name)


def available() -> dict[str, NetworkOnDisk]:
    """Name -> file."""
    return {each.name: NetworkOnDisk(each) for each in rooms.current().studio.networks.loras.all()}


def loaded() -> list[Network]:
    """Those of the tags of the job under way."""
    frame = rooms.current().frame
    tags = (getattr(frame.p, "extra_network_data", None) or {}).get("lora", ()) if frame else ()
    made = []
    for tag in tags:
        values = [float(each) for each in tag.positional[1:3] if _number(each)] or [1.0]
        made.append(Network(tag.positional[0], values[0], values[-1]))
    return made


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def list_available_networks() -> None:
    """Folders are looked at anew at every question."""


_LIVE = {
    **{"loaded_networks": loaded, "loaded_loras": loaded},
    **{"available_networks": available, "available_loras": available, "available_network_aliases": available},
    "forbidden_network_aliases": dict,
}


class Live(types.ModuleType):
    """The module that is imported: its lists are as they are now."""

    def __getattr__(self, name: str) -> Any:
        if name in _LIVE:
            return _LIVE[name]()
        raise AttributeError(f"{self.__name__} has no {name} here: networks are Easel's own affair.")


ALL = {
    **{"Network": Network, "NetworkOnDisk": NetworkOnDisk, "list_available_networks": list_available_networks},
    **{"list_available_loras": list_available_networks, "__class__": Live},
}
