"""Reversible changes of a loaded model: the LoRA family, hypernetworks, textual inversion."""
