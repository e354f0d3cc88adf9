"""What can be had to train on, where, at which price, and what an account's budget and quotas allow of it."""
