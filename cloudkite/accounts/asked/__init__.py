"""What an account's cloud is asked of it: its APIs and quotas, what it can run, what is wrong with it."""
