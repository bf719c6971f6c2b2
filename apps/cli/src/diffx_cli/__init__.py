"""The diffx command line: python-fire behind a fence, and one module per command."""
