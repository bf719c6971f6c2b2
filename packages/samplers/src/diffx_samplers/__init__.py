"""Samplers: one module for each family."""
