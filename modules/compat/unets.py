"""`sd_unet`: networks that extensions bring to run in the place of a checkpoint's own (TensorRT and the like).

`on_list_unets` tells which there are; the setting "SD Unet" (`sd_unet`) chooses: "None", a label, or "Automatic", which
is the one whose model_name is the checkpoint's.
"""

from __future__ import annotations

from typing import Any

from modules.compat import room as rooms

unet_options: list[Any] = []


class SdUnetOption:
    """A choice. model_name: the checkpoint that it is made for."""

    model_name: str | None = None
    label: str | None = None

    def create_unet(self) -> Any:
        raise NotImplementedError


class SdUnet:
    """forward(x, timesteps, context, y=...) answers as the checkpoint's network would."""

    def forward(self, x: Any, timesteps: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def activate(self) -> None: ...

    def deactivate(self) -> None: ...


def list_unets() -> None:
    """Ask anew which there are."""
    found: list[Any] = []
    rooms.current().callbacks.call("list_unets", found)
    unet_options[:] = found


def sd_unet_items() -> list[str]:
    """What the setting may say."""
    list_unets()
    return ["Automatic", *(each.label for each in unet_options), "None"]


def get_unet_option(option: str | None = None) -> Any:
    """The chosen one, None for the checkpoint's own."""
    room = rooms.current()
    wanted = option or room.opts.sd_unet
    list_unets()
    if wanted == "None":
        return None
    if wanted == "Automatic":
        name = room.frame.plan.checkpoint.model_name if room.frame and room.frame.plan else ""
        return next((each for each in unet_options if each.model_name and each.model_name == name), None)
    return next((each for each in unet_options if each.label == wanted), None)


def apply_unet(option: str | None = None) -> None:
    """Make the chosen one ready."""
    room = rooms.current()
    chosen, (before, network) = get_unet_option(option), room.unet
    if chosen is before:
        return
    if network is not None:
        network.deactivate()
    made = chosen.create_unet() if chosen is not None else None
    if made is not None:
        made.option = chosen
        made.activate()
    room.unet = chosen, made


def put_on(view: Any) -> None:
    """Let the chosen one answer for the network that `view` shows, until `take_off`."""
    take_off(view)
    apply_unet()
    network = rooms.current().unet[1]
    if network is not None:
        view.__dict__["forward"] = view.__dict__["instead"] = lambda *given, **named: network.forward(*given, **named)


def take_off(view: Any) -> None:
    ours = view.__dict__.pop("instead", None)
    if ours is not None and view.__dict__.get("forward") is ours:
        del view.__dict__["forward"]


def __getattr__(name: str) -> Any:
    if name in ("current_unet_option", "current_unet"):
        return rooms.current().unet[name == "current_unet"]
    raise AttributeError(f"modules.sd_unet has no {name}")
