"""The XML API of Cloud Storage."""
