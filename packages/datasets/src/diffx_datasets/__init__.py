"""Sources of data: the bundled digits, and toy distributions in the plane."""
