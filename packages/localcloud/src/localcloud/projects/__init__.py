"""Projects: Resource Manager and Service Usage."""
