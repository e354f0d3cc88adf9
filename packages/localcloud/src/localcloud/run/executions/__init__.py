"""Executions of Cloud Run jobs: what is kept of them, what runs them, how they are told and charged."""
