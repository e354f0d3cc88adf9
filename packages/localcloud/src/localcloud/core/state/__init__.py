"""What is kept: files, documents and databases that survive a killed process."""
