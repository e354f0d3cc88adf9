"""Cloud Quotas: what a project may use at once. A preference here is a quota that holds: Vertex AI counts against it."""
