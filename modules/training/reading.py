"""Training of the text tower: read the facts of a scene off its caption, before any picture is made.

SD1's own tower was trained on 400 million captioned pictures. A small one that starts from nothing would have to learn
everything through the UNet, so it is taught to read first. Each fact (thing, colour, place, count ...) has a place of
its own among the last of the 77 tokens (`SLOTS`; they are filling, but for very long prompts), and there the tower has
to say its answer and nothing else: in a fixed code of the tower's width, at right angles to all other codes. The UNet
then finds "blue" at one token and "cat" at another, the same "blue" for every thing, so that it can put together what
it never saw together. With one vector that says everything, a blue cat is a word of its own. Held-out pairs of thing
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
from modules.training.painter import captions, places, scene
from modules.training.painter.captions import Caption, caption
from modules.training.painter.colours import COLOURS
from modules.training.painter.things import THINGS
from modules.training.recipes import Recipe

NOTHING, UNTOLD = "nothing", "untold"
QUESTIONS: dict[str, tuple[str, ...]] = {
    "kind": tuple(THINGS),
    "colour": tuple(COLOURS),
    "second kind": (*THINGS, NOTHING),
    "second colour": (*COLOURS, NOTHING),
    "size": tuple(places.SIZES),
    "place": tuple(places.PLACES),
    "count": ("1", "2", "3"),
    "ground": tuple(places.GROUNDS),
    "backdrop": captions.PLAIN,
    "time": tuple(places.TIMES),
    "style": tuple(places.STYLES),
    "relation": tuple(places.RELATIONS),
}
"""Fact -> its possible answers; one more, UNTOLD, is for captions that leave it out."""
ANSWERS = {question: (*choices, UNTOLD) for question, choices in QUESTIONS.items()}
SLOTS = models.PLACES - len(QUESTIONS)
"""The first of the tokens that hold answers, one each, in the order of QUESTIONS."""

SECOND = "second "
OFFSET = 0.3
"""Added to every number of a code: emphasis keeps the mean of what the tower says, as in A1111; it must not be 0."""
SHARPNESS = 10.0
"""How much a right answer outscores others at most: logits of the cross-entropy."""

NOISE = 0.2
"""Share of captions with words that mean nothing put in somewhere, few or as many as fit."""
EMPTY = 0.03
"""Share of empty captions."""


def codes(width: int) -> dict[str, Tensor]:
    """Question -> what a slot says for each of its ANSWERS (answers, width).

    Vectors of mean 0 and variance 1, as layer norm makes them, at right angles to each other where the width allows. A
    second thing has the vectors of a first one, each mixed with one that says "second".
    """
    names = [
        (question, choice) for question, choices in ANSWERS.items() for choice in choices if SECOND not in question
    ]
    rows = torch.randn(len(names) + 1, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows -= rows.mean(dim=1, keepdim=True)
    if len(rows) < width:
        rows = torch.linalg.qr(rows.T).Q.T
    *plain, second = functional.normalize(rows).float() * width**0.5
    own = dict(zip(names, plain, strict=True))
    made = {}
    for question, choices in ANSWERS.items():
        first = question.removeprefix(SECOND)
        found = torch.stack([own.get((first, choice), torch.zeros(width)) for choice in choices])  # 0: no second thing
        made[question] = found if first == question else functional.normalize(found + second) * width**0.5
    return made


def answers(drawn: scene.Scene, told: Caption) -> list[int]:
    """The place in ANSWERS of what the caption says to each question, and of UNTOLD where it does not."""
    first, *others = drawn.things
    coloured = "colour" in told.told
    facts = {
        "kind": first.kind,
        "colour": first.colour,
        "second kind": others[0].kind if others else NOTHING,
        "second colour": NOTHING if not others else others[0].colour if coloured else UNTOLD,
        "size": first.size if first.size != "medium" else UNTOLD,  # captions have no word for medium
        "place": first.place,
        "count": str(first.count) if not drawn.relation else UNTOLD,
        "ground": drawn.ground,
        "backdrop": captions.backdrop(drawn),
        "time": drawn.time,
        "style": drawn.style,
        "relation": drawn.relation,
    }
    always = {"kind", "second kind", "second colour"}
    return [
        choices.index(facts[question] if question in always | told.told else UNTOLD)
        for question, choices in ANSWERS.items()
    ]


class Reader(nn.Module):
    """The tower, and the codes that it has to say."""

    def __init__(self, tower: nn.Module, width: int) -> None:
        super().__init__()
        self.tower = tower
        for number, code in enumerate(codes(width).values()):
            self.register_buffer(f"codes{number}", code, persistent=False)

    def codes(self) -> list[Tensor]:
        """Of each question (answers, width)."""
        return [self.get_buffer(f"codes{number}") for number in range(len(ANSWERS))]


class ReadingTask:
    """Tell the facts of captions of ever new scenes."""

    def __init__(self, tower: nn.Module, recipe: Recipe) -> None:
        self.network: Reader = Reader(tower, recipe.text.width)
        self._recipe = recipe

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """ids (B, 77), labels (B, questions)."""
        dice = random.Random(int(torch.randint(2**62, (), generator=generator)))
        texts, labels = [], []
        for _ in range(self._recipe.text_stage.batch):
            drawn = scene.draw(dice.randrange(2**40))
            told = caption(drawn, dice)
            empty = dice.random() < EMPTY
            texts.append("" if empty else told.text)
            labels.append([len(choices) - 1 for choices in ANSWERS.values()] if empty else answers(drawn, told))
        ids = models.token_ids(texts)
        for row, written in zip(ids, texts, strict=True):
            if written and dice.random() < NOISE:
                room = models.PLACES - 1 - int((row == tokens.END).int().argmax())
                for _ in range(dice.choice((1, 1, 2, dice.randint(1, max(1, room))))):
                    _disturb(row, dice)
        return ids, torch.tensor(labels)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Squared distance to the right code and cross-entropy against the other answers, means over questions."""
        ids, labels = batch
        read = models.hidden(self.network.tower, ids)[:, SLOTS:] - OFFSET
        off, wrong, right, asked = (read.new_zeros(()) for _ in range(4))
        for question, code in enumerate(self.network.codes()):
            said, wanted = read[:, question], labels[:, question]
            scores = said @ code.T * (SHARPNESS / code.shape[1])
            off = off + functional.mse_loss(said, code[wanted])
            wrong = wrong + functional.cross_entropy(scores, wanted)
            told = wanted != len(code) - 1
            right = right + ((scores.argmax(1) == wanted) & told).sum()
            asked = asked + told.sum()
        return {"loss": (off + wrong) / len(QUESTIONS), "off": off.detach() / len(QUESTIONS), "right": right / asked}

    def sheet(self, network: nn.Module) -> Image.Image | None:
        return None


def _disturb(row: Tensor, dice: random.Random) -> None:
    """Put a random token of the vocabulary somewhere before the end."""
    end = int((row == tokens.END).int().argmax())
    if end < models.PLACES - 2:
        place = dice.randint(1, end)
        row[place + 1 :] = row[place:-1].clone()
        row[place] = dice.randrange(tokens.START)
