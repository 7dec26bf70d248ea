"""A1111's `modules.deepbooru`."""

import re

from modules.compat.shared import Captions

__all__ = ["DeepDanbooru", "model", "re_special"]

re_special = re.compile(r"([\\()])")


class DeepDanbooru(Captions):
    """Tags of a picture, by whatever captioner the program has."""

    model = None

    def start(self):
        self.load()

    def stop(self):
        self.unload()

    def tag(self, pil_image):
        return self.interrogate(pil_image)

    def tag_multi(self, pil_image, force_disable_ranks=False):
        return self.interrogate(pil_image)


model = DeepDanbooru()
