"""The command line itself: from argv to a checked request, help, and what the program says."""
