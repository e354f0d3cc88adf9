"""Uploads of Cloud Storage: in one request, resumable, in forms, in parts."""
