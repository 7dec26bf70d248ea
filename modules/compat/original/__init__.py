"""The model code that A1111 clones (`ldm`, `sgm`, `k_diffusion`) and torchvision, as far as extensions use them."""
