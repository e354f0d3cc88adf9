"""Accounts: what is described of each, and the one seam to the cloud where it lives."""
