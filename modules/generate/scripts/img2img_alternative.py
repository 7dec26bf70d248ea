"""img2img alternative test: the noise that Euler's method would have turned into this picture, found by walking its
steps backwards, becomes the beginning of a new picture with another prompt.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modules.core.errors import BadRequest
from modules.generate.scripts.context import Change, Context, Request, Result, needs_img2img
from modules.generate.scripts.registry import Argument, Menus, Script, Tab

if TYPE_CHECKING:
    from modules.generate.moments import Sampling

NOTE = "* `CFG Scale` should be 2 or lower."


def script() -> Script:
    return Script(title="img2img alternative test", run=run, arguments=arguments, tabs=("img2img",), check=check)


def arguments(tab: Tab, menus: Menus) -> list[Argument]:
    sampler = "Override `Sampling method` to Euler?(this method is built for it)"
    prompt = "Override `prompt` to the same value as `original prompt`?(and `negative prompt`)"
    steps = "Override `Sampling Steps` to the same value as `Decode steps`?"
    strength, adjusted = "Override `Denoising strength` to 1?", "Sigma adjustment for finding noise for image"
    return [
        Argument(name="note", label="", kind="note", default=NOTE),
        Argument(name="own_sampler", label=sampler, kind="bool", default=True),
        Argument(name="own_prompt", label=prompt, kind="bool", default=True),
        Argument(name="prompt", label="Original prompt", kind="text", default=""),
        Argument(name="negative_prompt", label="Original negative prompt", kind="text", default=""),
        Argument(name="own_steps", label=steps, kind="bool", default=True),
        Argument(name="steps", label="Decode steps", kind="int", default=50, minimum=1, maximum=150, step=1),
        Argument(name="own_strength", label=strength, kind="bool", default=True),
        Argument(
            name="scale", label="Decode CFG scale", kind="float", default=1.0, minimum=0.0, maximum=15.0, step=0.1
        ),
        Argument(name="randomness", label="Randomness", kind="float", default=0.0, minimum=0.0, maximum=1.0, step=0.01),
        Argument(name="adjusted", label=adjusted, kind="bool", default=False),
    ]


def check(tab: Tab, menus: Menus, options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if not 1 <= given["steps"] <= 1000:
        raise BadRequest("script_args: decode steps must be 1 to 1000.", field="script_args")
    if not 0 <= given["randomness"] <= 1:
        raise BadRequest("script_args: randomness must be 0 to 1.", field="script_args")


def run(context: Context, request: Request, given: Mapping[str, Any]) -> Result:
    """The pictures of the request, begun from the found noise."""
    asked = needs_img2img(context.seeded(request))
    changes: dict[str, Any] = {}
    if given["own_sampler"]:
        changes["sampler_name"] = "Euler"
    if given["own_prompt"]:
        changes |= {"prompt": given["prompt"], "negative_prompt": given["negative_prompt"]}
    if given["own_steps"]:
        changes["steps"] = given["steps"]
    if given["own_strength"]:
        changes["denoising_strength"] = 1.0
    facts = {
        "Decode prompt": given["prompt"],
        "Decode negative prompt": given["negative_prompt"],
        "Decode CFG scale": given["scale"],
        "Decode steps": given["steps"],
        "Randomness": given["randomness"],
        "Sigma Adjustment": given["adjusted"],
    }

    def begin(event: Sampling) -> None:
        from modules.generate.scripts import reverse

        reverse.begin(event, given)

    context.expect(1, batches=asked.n_iter)
    made = context.make(dataclasses.replace(asked, **changes), Change(facts=facts, begin=begin))
    return Result(pictures=made.pictures, info=made.info)
