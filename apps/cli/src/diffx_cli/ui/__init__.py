"""The page of `diffx ui`: what it is told, what it may ask, and how it is served."""
