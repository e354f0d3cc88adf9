"""Looks for the options with which a trainer learns best: tries within tuning.toml, kept on disk as a study."""
