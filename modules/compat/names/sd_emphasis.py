"""A1111's `modules.sd_emphasis`."""

__all__ = ["options"]


class Emphasis:
    name = "Base"
    description = ""


def _row(title, text):
    return type(title, (Emphasis,), {"name": title, "description": text})


options = [
    _row("None", "the whole mechanism is off and brackets are plain text"),
    _row("Ignore", "emphasized words are taken as if they had none"),
    _row("Original", "the mechanism as it is known"),
    _row("No norm", "the same without normalization"),
]
