"""What is well with this machine and an account, and what is not: one look at each thing, with one step that helps."""
