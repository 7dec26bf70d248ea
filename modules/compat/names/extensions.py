"""A1111's `modules.extensions`."""

from modules.compat.small import Extension, active, list_extensions


def __getattr__(name):
    if name == "extensions":
        return list_extensions()
    if name == "extensions_dir":
        from modules.compat.places import extensions_dir

        return extensions_dir
    if name == "extensions_builtin_dir":
        from modules.compat.places import extensions_builtin_dir

        return extensions_builtin_dir
    raise AttributeError(f"modules.extensions has no {name}")


__all__ = ["Extension", "active", "list_extensions"]
