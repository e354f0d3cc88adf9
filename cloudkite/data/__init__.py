"""A person's data: what a trainer declares of it, and what a file holds."""
