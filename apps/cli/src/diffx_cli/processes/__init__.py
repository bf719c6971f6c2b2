"""Several processes for one command, and the device of each."""
