"""Makes the environment ready: a virtual environment, the pinned packages, extension installers.

Called by `launch.py` and `tests/run.py`, before anything but Python's standard library can be relied on; imports
nothing else of `modules`. Whatever stops it is a `SetupFailed` with words for a person.
"""
