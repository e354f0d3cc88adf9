"""Artifact Registry: repositories and their policies are kept and can be read; images can't be pushed here."""
