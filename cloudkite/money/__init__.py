"""Prices, costs, quotas, and the gate that nothing passes which could exceed the budget."""
