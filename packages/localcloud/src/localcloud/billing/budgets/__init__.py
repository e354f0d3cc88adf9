"""Budgets against costs, and when they have something to tell."""
