"""Training of the text tower: read the facts of a scene off its caption, before any picture is made.

SD1's own tower was trained on 400 million captioned pictures. A small one that starts from nothing would have to learn
everything through the UNet, so it is taught to name the facts first: from the end-of-text token
and from one of the filling tokens after it (the UNet attends to all 77), a linear layer has to tell thing, colour,
place, count and so on of what the caption told. The linear layers are thrown away afterwards. Held-out pairs of thing
and colour do not occur here either.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from modules.prompts import tokens
from modules.training import models
from modules.training.loop import Batch
from modules.training.painter import places, scene
from modules.training.painter.captions import Caption, caption
from modules.training.painter.colours import COLOURS
from modules.training.painter.things import THINGS
from modules.training.recipes import Recipe

NOTHING = "nothing"
QUESTIONS: dict[str, tuple[str, ...]] = {
    "kind": tuple(THINGS),
    "colour": tuple(COLOURS),
    "second kind": (NOTHING, *THINGS),
    "second colour": (NOTHING, *COLOURS),
    "size": tuple(places.SIZES),
    "place": tuple(places.PLACES),
    "count": ("1", "2", "3"),
    "ground": tuple(places.GROUNDS),
    "time": tuple(places.TIMES),
    "style": tuple(places.STYLES),
    "relation": tuple(places.RELATIONS),
}
"""Fact -> its possible answers."""

UNTOLD = -1
"""Label of a fact that the caption leaves out: it counts for nothing in the loss."""

NOISE = 0.2
"""Share of captions with a word that means nothing put in somewhere."""


def answers(drawn: scene.Scene, told: Caption) -> list[int]:
    """The label of each question, UNTOLD where the caption does not say."""
    first, *others = drawn.things
    facts = {
        "kind": first.kind,
        "colour": first.colour,
        "second kind": others[0].kind if others else NOTHING,
        "second colour": others[0].colour if others else NOTHING,
        "size": first.size if first.size != "medium" else "",  # captions have no word for medium
        "place": first.place,
        "count": str(first.count) if not drawn.relation else "",
        "ground": drawn.ground,
        "time": drawn.time,
        "style": drawn.style,
        "relation": drawn.relation,
    }
    optional = set(QUESTIONS) - {"kind", "colour", "second kind", "second colour"}
    return [
        UNTOLD if not facts[question] or (question in optional and question not in told.told)
        else choices.index(facts[question])
        for question, choices in QUESTIONS.items()
    ]  # fmt: skip


class Reader(nn.Module):
    """The tower with a linear layer for each question."""

    def __init__(self, tower: nn.Module, width: int) -> None:
        super().__init__()
        self.tower = tower
        self.heads = nn.ModuleList(nn.Linear(width, len(choices)) for choices in QUESTIONS.values())


class ReadingTask:
    """Tell the facts of captions of ever new scenes."""

    def __init__(self, tower: nn.Module, recipe: Recipe) -> None:
        self.network: Reader = Reader(tower, recipe.text.width)
        self._recipe = recipe

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """ids (B, 77), labels (B, questions), places (B, 2) of the end token and of a filling one."""
        dice = random.Random(int(torch.randint(2**62, (), generator=generator)))
        texts, labels = [], []
        for _ in range(self._recipe.text_stage.batch):
            drawn = scene.draw(dice.randrange(2**40))
            told = caption(drawn, dice)
            texts.append(told.text)
            labels.append(answers(drawn, told))
        ids = models.token_ids(texts)
        for row in ids:
            if dice.random() < NOISE:
                _disturb(row, dice)
        ends = (ids == tokens.END).int().argmax(dim=1)
        fillers = torch.tensor([dice.randint(int(end), models.PLACES - 1) for end in ends])
        return ids, torch.tensor(labels), torch.stack([ends, fillers], dim=1)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        ids, labels, spots = batch
        states = models.hidden(self.network.tower, ids)
        read = states[torch.arange(len(ids), device=ids.device)[:, None], spots]
        total, right, asked = states.new_zeros(()), states.new_zeros(()), states.new_zeros(())
        for question, head in enumerate(self.network.heads):
            wanted = labels[:, question, None].expand(-1, 2)
            scores = head(read)
            known = wanted != UNTOLD
            each = functional.cross_entropy(
                scores.flatten(0, 1), wanted.flatten(), ignore_index=UNTOLD, reduction="sum"
            )
            total = total + each
            right = right + ((scores.argmax(-1) == wanted) & known).sum()
            asked = asked + known.sum()
        return {"loss": total / wanted.numel(), "right": right / asked}

    def sheet(self, network: nn.Module) -> Image.Image | None:
        return None


def _disturb(row: Tensor, dice: random.Random) -> None:
    """Put a random token of the vocabulary somewhere before the end."""
    end = int((row == tokens.END).int().argmax())
    if end < models.PLACES - 2:
        place = dice.randint(1, end)
        row[place + 1 :] = row[place:-1].clone()
        row[place] = dice.randrange(tokens.START)
