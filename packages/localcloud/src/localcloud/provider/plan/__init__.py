"""What the real provider would change: its rules as a table, and the comparison of the state with a program."""
