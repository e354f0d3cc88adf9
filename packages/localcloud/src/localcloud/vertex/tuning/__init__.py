"""Hyperparameter tuning: studies, their trials, and the jobs that run them."""
