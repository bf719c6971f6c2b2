"""A Brownian bridge with exponential diffusion."""
