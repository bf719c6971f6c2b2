"""Makes the pages of the docs site that are made from the code; mkdocs calls it by `hook.py`."""
