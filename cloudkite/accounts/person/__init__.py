"""The person who describes an account: their sign-in, projects, billing accounts, and what they answered so far."""
