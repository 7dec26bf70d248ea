"""One progress bar over all cells of a script: each cell reports as if it were alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from modules.generate.studio import Control


class Total:
    """Batches of the whole script. The number of steps shown is that of the first cell; others are scaled to it."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.steps = 0
        self._batches = 0
        self._done = 0

    def expect(self, batches: int) -> None:
        self._batches = max(1, batches)

    def skip(self, batches: int, *, done: bool = False) -> None:
        """So many batches are through; done: their steps were reported."""
        self._done += batches
        if not done and self.steps:
            self.control.batch(min(self._done, self._batches - 1))

    def begin(self, batches: int, steps: int) -> None:
        if not self.steps:
            self.steps = max(1, steps)
            self._batches = max(self._batches, self._done + batches)
            self.control.begin(batches=self._batches, steps=self.steps)

    def batch(self, index: int) -> None:
        self.control.batch(min(self._done + index, self._batches - 1))


class Part:
    """The `Control` of one cell. cut_short: a batch of it was ended early by `skip`."""

    def __init__(self, total: Total, text: str = "") -> None:
        self._total = total
        self._text = text
        self._steps = 1
        self.cut_short = False

    @property
    def interrupted(self) -> bool:
        return self._total.control.interrupted

    @property
    def skipped(self) -> bool:
        skipped = self._total.control.skipped
        self.cut_short = self.cut_short or skipped
        return skipped

    def begin(self, *, batches: int, steps: int) -> None:
        self._steps = max(1, steps)
        self._total.begin(batches, steps)

    def batch(self, index: int) -> None:
        self._total.batch(index)

    def step(self, done: int) -> None:
        self._total.control.step(done * self._total.steps // self._steps)

    def text(self, text: str) -> None:
        self._total.control.text(text or self._text)

    def watched(self) -> bool:
        return self._total.control.watched()

    def preview(self, image: Image.Image) -> None:
        self._total.control.preview(image)
