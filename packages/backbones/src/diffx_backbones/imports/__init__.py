"""Weights from elsewhere: how others name them, and where they go here."""
