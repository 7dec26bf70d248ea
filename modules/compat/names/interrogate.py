"""A1111's `modules.interrogate`."""

from modules.compat.shared import Captions

__all__ = ["InterrogateModels"]


class InterrogateModels(Captions):
    """Captions of pictures, by whatever captioner the program has."""

    def __init__(self, content_dir=None):
        self.content_dir = content_dir
