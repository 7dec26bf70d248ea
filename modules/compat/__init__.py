"""The room in which A1111's extensions run unmodified. Nothing below imports it; the composition root installs it."""
