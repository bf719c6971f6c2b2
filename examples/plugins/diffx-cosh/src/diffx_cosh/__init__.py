"""A hyperbolic noise process for diffx."""
