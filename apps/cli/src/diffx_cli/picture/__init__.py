"""What is drawn: samples, films, curves."""
