"""Cloud Billing: what is used and costs, who pays for it, free trials, and budgets that notify."""
