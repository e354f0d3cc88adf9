"""Training jobs: planned, staged, submitted, looked up and read."""
