"""The scripts that A1111 runs with every request. Through the API their arguments change nothing there (the request has
fields for all of it), so they are known, listed and checked, no more. Soft inpainting is `extensions/soft_inpainting`.
"""

from __future__ import annotations

from modules.generate.scripts.registry import AlwaysOn, Argument, Menus, Tab


def builtin() -> list[AlwaysOn]:
    """A1111's, in its order."""
    return [
        AlwaysOn(title="Extra options", name="extra options"),
        AlwaysOn(title="Hypertile", name="Hypertile", arguments=None),
        AlwaysOn(title="Refiner", name="refiner", arguments=_refiner),
        AlwaysOn(title="Sampler", name="sampler", arguments=_sampler),
        AlwaysOn(title="Seed", name="seed", arguments=_seed),
    ]


def _number(name: str, label: str, default: float, least: float, most: float, step: float) -> Argument:
    return Argument(name=name, label=label, kind="float", default=default, minimum=least, maximum=most, step=step)


def _refiner(tab: Tab, menus: Menus) -> list[Argument]:
    return [
        Argument(name="enabled", label="Refiner", kind="bool", default=False),
        Argument(name="checkpoint", label="Checkpoint", kind="choice", default="", choices=tuple(menus.checkpoints())),
        _number("switch_at", "Switch at", 0.8, 0.01, 1.0, 0.01),
    ]


def _sampler(tab: Tab, menus: Menus) -> list[Argument]:
    samplers, schedulers = tuple(menus.samplers()), tuple(menus.schedulers())
    steps = Argument(name="steps", label="Sampling steps", kind="int", default=20, minimum=1, maximum=150, step=1)
    first = samplers[0] if samplers else ""
    return [
        steps,
        Argument(name="sampler", label="Sampling method", kind="choice", default=first, choices=samplers),
        Argument(name="scheduler", label="Schedule type", kind="choice", default="Automatic", choices=schedulers),
    ]


def _seed(tab: Tab, menus: Menus) -> list[Argument]:
    return [
        Argument(name="seed", label="Seed", kind="int", default=-1, step=1),
        Argument(name="extra", label="Extra", kind="bool", default=False),
        Argument(name="subseed", label="Variation seed", kind="int", default=-1, step=1),
        _number("subseed_strength", "Variation strength", 0.0, 0, 1, 0.01),
        _number("resize_from_w", "Resize seed from width", 0, 0, 2048, 8),
        _number("resize_from_h", "Resize seed from height", 0, 0, 2048, 8),
    ]
