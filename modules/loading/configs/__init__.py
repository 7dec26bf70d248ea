"""Sizes of a model from the shapes of its tensors, in the words of the diffusers / transformers classes."""
