"""Cloud Asset Inventory: what a project holds, with its labels."""
