"""Service Usage: which of Google's APIs are on in a project, and what is refused where one is off."""
