"""Vertex AI: custom jobs that really run on this machine."""
