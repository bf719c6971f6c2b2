"""A run as one page that needs nothing else: what was trained, how that went, what came out.

`gathered` reads the folder, `sections` says what of it is shown, `drawing`, `frames` and `scatter`
make pictures of that, and `page` is the file. What a run has no data for is said in a line.
"""
