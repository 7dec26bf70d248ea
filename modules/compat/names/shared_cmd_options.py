"""A1111's `modules.shared_cmd_options`."""


def __getattr__(name):
    from modules.compat import shared

    if name == "cmd_opts":
        return shared.cmd_opts()
    raise AttributeError(f"modules.shared_cmd_options has no {name}")
