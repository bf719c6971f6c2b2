"""How good samples are: `diffx evaluate` and `diffx compare`."""
