"""What every API stands on: the folder, ports, clock and documents of one local cloud. Nothing here knows an API."""
