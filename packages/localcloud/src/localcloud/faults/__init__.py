"""Fault drills: answers that fail as Google's do on a bad day, when and as often as somebody asked for."""
