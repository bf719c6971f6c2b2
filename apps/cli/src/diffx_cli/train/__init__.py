"""What `diffx train` does around the loop of `diffx_core.engine`."""
