"""Noise processes: one module for each family."""
