"""Many jobs at once: planned, judged, followed and compared together."""
