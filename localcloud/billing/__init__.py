"""Cloud Billing: accounts, the link of projects to them, and budgets. Budgets are kept; nothing is ever billed."""
