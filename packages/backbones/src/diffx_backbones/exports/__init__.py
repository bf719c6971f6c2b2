"""Weights for elsewhere: the names and forms that others give them."""
