"""Cloud Logging: entries, their filter language, and the resources that configure where they go."""
