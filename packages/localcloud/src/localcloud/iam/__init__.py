"""Identity and Access Management: service accounts, keys, roles, policies, and who a job is."""
