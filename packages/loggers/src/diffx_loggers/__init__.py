"""Loggers: where the figures of a run are written besides its own file."""
