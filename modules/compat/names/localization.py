"""A1111's `modules.localization`."""

from modules.compat.small import list_localizations, localizations

__all__ = ["list_localizations", "localizations"]
