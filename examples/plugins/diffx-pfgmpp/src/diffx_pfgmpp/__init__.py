"""Noise with heavy tails: PFGM++."""
