"""Training of small diffusion models and what goes with them, on pictures that `painter` draws or on a folder.

Nothing in Easel imports this package: it is run as `python -m modules.training` (README.md beside this file).
"""
