"""How good pictures are, in numbers: a reader that tells what is in them, Fréchet distance, agreement with the text.

Nothing in Easel imports this package: it is run as `python -m modules.evaluation` (README.md beside this file).
"""
