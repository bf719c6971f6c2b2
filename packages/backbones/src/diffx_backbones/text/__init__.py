"""Text encoders, which learn nothing: they make of a caption the tokens that a network reads."""
