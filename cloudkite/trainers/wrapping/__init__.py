"""Makes a plain trainer of a person's own program: one file of Python, or a notebook, changed as little as possible."""
