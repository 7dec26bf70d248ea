"""A1111's `modules.sd_schedulers`."""

from modules.compat.sampling import Scheduler


def __getattr__(name):
    from modules.compat import sampling

    if name in ("schedulers", "schedulers_map"):
        return getattr(sampling, name)()
    raise AttributeError(f"modules.sd_schedulers has no {name}")


__all__ = ["Scheduler"]
