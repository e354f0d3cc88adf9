"""Who calls: access tokens, the token endpoint, and the metadata server by which a job is its account."""
