"""What one column, or a pair of them, shows while the rows of all files go by."""
