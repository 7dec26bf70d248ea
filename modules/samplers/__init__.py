"""Pure numerics: a sampler is a small function over a denoiser and a tensor of noise levels. `catalog` lists them."""
