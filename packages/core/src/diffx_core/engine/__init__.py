"""The training loop. It receives objects, and never a name, a flag or a plugin manager."""
