"""Which entries a filter matches."""
