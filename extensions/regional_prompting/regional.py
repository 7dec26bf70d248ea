"""Guesses of a model with prompts for regions.

Attention: each region's place looks at the words of its own prompt in the UNet's cross-attention. Latent: the model is
asked about each prompt, and of each answer its region is taken. Both mix the base prompt in by its weight.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from modules.core.errors import BadRequest
from modules.generate import hires
from modules.generate.guidance import Scheduled
from modules.generate.moments import ModelAnswered, ModelCalled, NetworkCalled, Planned, Sampled, Sampling
from modules.generate.plan import Plan
from modules.generate.request import Generation

from .regions import FIELD, Parted, Region, parted


def begin(values: Mapping[str, Any], studio: object, request: Generation) -> object:
    """The listeners of one job."""
    return Latent(values) if values["mode"] == "Latent" else Attention(values)


class Regional:
    """What both modes have in common: prompts of regions become prompts that AND joins, which Easel encodes."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._parts: Parted | None = None

    def planned(self, event: Planned) -> None:
        """Raises BadRequest where parts, ratios and pictures do not fit together."""
        plan = event.plan
        prompts = tuple(self._joined(text) for text in plan.prompts)

        def written(work: Plan, index: int) -> dict[str, Any]:
            return {"Prompt": plan.prompts[index]}

        changed = dataclasses.replace(plan, prompts=prompts, tellers=(*plan.tellers, written))
        if changed.hires:
            changed = hires.following(plan, changed)
            assert changed.hires is not None
            second = tuple(text if " AND " in text else self._joined(text) for text in changed.hires.prompts)
            changed = dataclasses.replace(changed, hires=dataclasses.replace(changed.hires, prompts=second))
        event.plan = changed

    def _joined(self, text: str) -> str:
        found = parted(text, self._values)
        if found is None:
            message = f"{FIELD}: part the prompt by BREAK (or ADDCOL, ADDROW), or switch it off."
            raise BadRequest(message, field=FIELD)
        before = self._parts
        if before and (before.regions, before.base is None) != (found.regions, found.base is None):
            message = f"{FIELD}: all prompts of a job need the same regions."
            raise BadRequest(message, field=FIELD)
        self._parts = found
        return found.joined

    @property
    def parts(self) -> Parted:
        assert self._parts is not None, "planned comes first"
        return self._parts

    def mixed(self, answers: Sequence[Tensor], height: int, width: int, *, flat: bool) -> Tensor:
        """The answers (B, …) to base and regions as one, over height x width places: the last two axes, or (flat) one
        axis before the last.
        """
        own = answers if self.parts.base is None else answers[1:]
        total = torch.zeros_like(answers[0])
        for answer, region in zip(own, self.parts.regions, strict=True):
            mask = inside(region, height, width).to(answer)
            total = total + answer * (mask.reshape(-1, 1) if flat else mask)
        if self.parts.base is None:
            return total
        share = float(self._values["base_ratio"])
        return answers[0] * share + total * (1 - share)


class Latent(Regional):
    """Each prompt's answer, in its region."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._owners: tuple[int, ...] = ()

    def model_called(self, event: ModelCalled) -> None:
        self._owners = event.conditioning.owners

    def model_answered(self, event: ModelAnswered) -> None:
        """Guidance sums what each prompt adds to the negative one: all of a picture are given the same share of it."""
        positive = event.positive.clone()
        for picture in sorted(set(self._owners)):
            rows = [row for row, owner in enumerate(self._owners) if owner == picture]
            mixed = self.mixed([event.positive[row] for row in rows], *event.x.shape[-2:], flat=False)
            if event.negative is not None:
                negative = event.negative[picture]
                mixed = negative + (mixed - negative) / len(rows)
            positive[rows] = mixed
        event.positive = positive


class Attention(Regional):
    """Cross-attention with each region's words, mixed place by place."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._prompts: list[tuple[Scheduled, ...]] = []
        self._contexts: list[Tensor] = []
        self._rows: list[int] = []
        self._size = (0, 0)
        self._before: list[tuple[Any, Any]] = []

    def planned(self, event: Planned) -> None:
        request = event.plan.request
        if request.refiner_checkpoint and request.refiner_switch_at is not None and request.refiner_switch_at < 1:
            raise BadRequest(f'{FIELD}: a refiner goes with the mode "Latent" only.', field=FIELD)
        super().planned(event)

    def sampling(self, event: Sampling) -> None:
        """The model is asked about each picture's first prompt; the others are kept for its layers. Raises BadRequest
        for a model that is no UNet.
        """
        self.close()
        unet: Any = event.model.unet
        layers = [each for name, each in unet.named_modules() if name.endswith(".attn2")]
        if not layers or not hasattr(unet, "up_blocks"):
            raise BadRequest(f'{FIELD}: this model is no UNet; choose the mode "Latent".', field=FIELD)
        self._prompts = [tuple(prompt for prompt, _ in picture) for picture in event.program.prompts]
        first = tuple(((picture[0][0], 1.0),) for picture in event.program.prompts)
        event.program = dataclasses.replace(event.program, prompts=first)
        self._before = [(layer, layer.processor) for layer in layers]
        for layer, processor in self._before:
            layer.processor = _Processor(self, processor)

    def model_called(self, event: ModelCalled) -> None:
        self._size = (event.x.shape[-2], event.x.shape[-1])
        texts = [[prompt.at(event.call).tokens for prompt in picture] for picture in self._prompts]
        self._contexts = [_together(each) for each in zip(*texts, strict=True)]

    def network_called(self, event: NetworkCalled) -> None:
        wanted = event.given.wanted
        self._rows = [] if wanted is None else [row for row, prompt in enumerate(wanted.tolist()) if prompt]

    def sampled(self, event: Sampled) -> None:
        self.close()

    def close(self) -> None:
        for layer, processor in self._before:
            layer.processor = processor
        self._before = []

    def looked(self, answer: Tensor, ask: Any) -> Tensor:
        """answer (B, N, C) of a layer; ask(rows, context) -> what it says of those rows with another context."""
        if not self._rows:
            return answer
        if len(self._rows) != len(self._prompts):
            message = f'{FIELD}: something else asks the model in parts of a batch; choose the mode "Latent".'
            raise BadRequest(message, field=FIELD)
        height, width = grid(self._size, answer.shape[1])
        answers = [ask(self._rows, context) for context in self._contexts]
        answer = answer.clone()
        answer[self._rows] = self.mixed(answers, height, width, flat=True).to(answer.dtype)
        return answer


class _Processor:
    """An attention processor around another."""

    def __init__(self, work: Attention, inner: Any) -> None:
        self._work, self._inner = work, inner

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *more: Any, **named: Any
    ) -> Tensor:
        answer: Tensor = self._inner(attn, hidden_states, encoder_hidden_states, *more, **named)

        def ask(rows: list[int], context: Tensor) -> Any:
            return self._inner(attn, hidden_states[rows], context.to(hidden_states), *more, **named)

        return self._work.looked(answer, ask)


def inside(region: Region, height: int, width: int) -> Tensor:
    """(height, width): 1 where a place's middle is in the region, else 0. Those of a layout sum to 1."""
    down, across = ((torch.arange(length, dtype=torch.float64) + 0.5) / length for length in (height, width))
    rows = (down >= region.top) & (down < region.bottom)
    columns = (across >= region.left) & (across < region.right)
    return (rows[:, None] & columns[None, :]).float()


def grid(size: tuple[int, int], places: int) -> tuple[int, int]:
    """(height, width) of a layer with so many places in a UNet over latents of this size. Raises BadRequest."""
    height, width = size
    for _ in range(8):
        if height * width == places:
            return height, width
        height, width = (height + 1) // 2, (width + 1) // 2
    message = f'{FIELD}: something else cuts the picture into pieces; choose the mode "Latent".'
    raise BadRequest(message, field=FIELD)


def _together(texts: Sequence[Tensor]) -> Tensor:
    """(tokens, width) each -> (B, most tokens, width); shorter ones repeat their last vector."""
    most = max(len(text) for text in texts)
    return torch.stack([torch.cat([text, text[-1:].expand(most - len(text), -1)]) for text in texts])
