"""The check of everything, from the environment to a trained model, in the order of what breaks."""
