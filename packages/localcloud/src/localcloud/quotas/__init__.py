"""Cloud Quotas: what a project may use at once. A preference here is a quota that holds: jobs count against it."""
