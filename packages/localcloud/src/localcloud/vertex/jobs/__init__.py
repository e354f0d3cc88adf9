"""Custom jobs: checked, queued, prepared, run under supervisors, and how they end."""
