"""Files of weights that others have written, as runs."""
