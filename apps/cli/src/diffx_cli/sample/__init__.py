"""What `diffx sample` does: batches that are kept as they are drawn, and drawn again."""
