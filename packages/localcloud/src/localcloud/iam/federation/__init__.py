"""Workload identity federation: pools whose providers vouch for who signs in with a token of somebody else's issuer."""
