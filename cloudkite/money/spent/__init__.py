"""What an account cost in a month, what it goes on costing, and how that compares with the bill."""
