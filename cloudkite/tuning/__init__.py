"""Tuning: which values of a trainer's options give the best model."""
