"""Trainers: found, made from the template, and packed as wheels."""
