"""What stands in for a container: an environment for its image, an account, a supervisor that outlives the server."""
