"""Small things that change a trained model: LoRA, textual inversion, hypernetwork, and a decoder for previews."""
