"""`prompt_parser`: A1111's grammar of prompts, answered by Easel's own parsers in A1111's forms."""

from __future__ import annotations

import re
from typing import Any

from modules.compat.conditions import (
    ComposableScheduledPromptConditioning,
    DictWithShape,
    MulticondLearnedConditioning,
    ScheduledPromptConditioning,
)
from modules.compat.extra_nets import parse_prompts
from modules.prompts import editing, emphasis
from modules.prompts.editing import Timeline

__all__ = [
    "ComposableScheduledPromptConditioning",
    "DictWithShape",
    "MulticondLearnedConditioning",
    "ScheduledPromptConditioning",
    "SdConditioning",
    "get_learned_conditioning",
    "get_learned_conditioning_prompt_schedules",
    "get_multicond_learned_conditioning",
    "get_multicond_prompt_list",
    "parse_prompt_attention",
    "parse_prompts",
    "reconstruct_cond_batch",
    "reconstruct_multicond_batch",
    "stack_conds",
]

re_AND = re.compile(r"\bAND\b")  # noqa: N816


class SdConditioning(list[str]):
    """Prompts with the size of the picture that they are for."""

    def __init__(
        self,
        prompts: Any,
        is_negative_prompt: bool = False,
        width: int | None = None,
        height: int | None = None,
        copy_from: Any = None,
        distilled_cfg_scale: float | None = None,
    ) -> None:
        super().__init__(prompts)
        source = copy_from if copy_from is not None else prompts
        self.is_negative_prompt = is_negative_prompt or getattr(source, "is_negative_prompt", False)
        self.width = width or getattr(source, "width", None)
        self.height = height or getattr(source, "height", None)


def parse_prompt_attention(text: str) -> list[list[Any]]:
    """[[text, weight], …]."""
    return [[part, weight] for part, weight in emphasis.parse(text)]


def get_learned_conditioning_prompt_schedules(
    prompts: list[str], base_steps: int, hires_steps: int | None = None, use_old_scheduling: bool = False
) -> list[list[list[Any]]]:
    """For each prompt [[last step, text], …]."""
    if hires_steps is None or use_old_scheduling:
        timeline = Timeline(steps=base_steps, old=use_old_scheduling)
    else:
        timeline = Timeline(steps=hires_steps, earlier=base_steps)
    return [[[end, text] for end, text in editing.schedule(prompt, timeline)] for prompt in prompts]


def get_multicond_prompt_list(prompts: Any) -> tuple[list[list[tuple[int, float]]], Any, dict[str, int]]:
    """(for each prompt [(place, weight), …], all subprompts, subprompt -> place)."""
    indexes: dict[str, int] = {}
    flat = SdConditioning([], copy_from=prompts)
    result = []
    for prompt in prompts:
        parts = []
        for text, weight in editing.subprompts(prompt):
            if text not in indexes:
                indexes[text] = len(flat)
                flat.append(text)
            parts.append((indexes[text], weight))
        result.append(parts)
    return result, flat, indexes


def get_learned_conditioning(
    model: Any, prompts: Any, steps: int, hires_steps: int | None = None, use_old_scheduling: bool = False
) -> list[list[Any]]:
    """What each prompt says over time; model: `shared.sd_model`."""
    schedules = get_learned_conditioning_prompt_schedules(prompts, steps, hires_steps, use_old_scheduling)
    result = []
    for schedule in schedules:
        said = model.get_learned_conditioning([text for _, text in schedule])
        each = []
        for place, (end, _) in enumerate(schedule):
            cond = {key: value[place] for key, value in said.items()} if isinstance(said, dict) else said[place]
            each.append(ScheduledPromptConditioning(end, cond))
        result.append(each)
    return result


def get_multicond_learned_conditioning(
    model: Any, prompts: Any, steps: int, hires_steps: int | None = None, use_old_scheduling: bool = False
) -> MulticondLearnedConditioning:
    """The same for prompts joined by AND."""
    places, flat, _ = get_multicond_prompt_list(prompts)
    said = get_learned_conditioning(model, flat, steps, hires_steps, use_old_scheduling)
    batch = [[ComposableScheduledPromptConditioning(said[at], weight) for at, weight in each] for each in places]
    return MulticondLearnedConditioning((len(prompts),), batch)


_WORKED = {
    each.__name__: each
    for each in (
        *(get_learned_conditioning, get_learned_conditioning_prompt_schedules, get_multicond_prompt_list),
        *(get_multicond_learned_conditioning, parse_prompt_attention),
    )
}


def replaced() -> bool:
    """Whether an extension has put a function of its own in the place of one that turns prompts into conditioning."""
    return any(globals()[name] is not each for name, each in _WORKED.items())


def _at(schedule: list[Any], step: int) -> Any:
    return next((each.cond for each in schedule if step <= each.end_at_step), schedule[0].cond)


def stack_conds(tensors: list[Any]) -> Any:
    """(n, width) each -> (count, most, width): shorter ones repeat their last vector."""
    import torch

    most = max(len(each) for each in tensors)
    padded = [
        torch.vstack([each, each[-1:].repeat(most - len(each), 1)]) if len(each) < most else each for each in tensors
    ]
    return torch.stack(padded)


def _joined(conds: list[Any]) -> Any:
    import torch

    if not isinstance(conds[0], dict):
        return stack_conds(conds)
    made = {key: torch.stack([each[key] for each in conds]) for key in conds[0] if key != "crossattn"}
    return DictWithShape({**made, "crossattn": stack_conds([each["crossattn"] for each in conds])})


def reconstruct_cond_batch(c: list[list[Any]], current_step: int) -> Any:
    """What holds at a step."""
    return _joined([_at(schedule, current_step) for schedule in c])


def reconstruct_multicond_batch(c: Any, current_step: int) -> tuple[list[list[tuple[int, float]]], Any]:
    """(for each picture [(row, weight), …], the rows) at a step."""
    conds: list[Any] = []
    places = []
    for picture in c.batch:
        own = []
        for each in picture:
            own.append((len(conds), each.weight))
            conds.append(_at(each.schedules, current_step))
        places.append(own)
    return places, _joined(conds)
