"""Rectified-flow transformers: Stable Diffusion 3, Flux and their successors, through diffusers' model classes.

`rows` is their part of the table of families. A family's own module has its sizes from shapes, its names, how it is
called and its builder; `names`, `text`, `encoders`, `tokenizer` and `companions` are what they share.
"""
