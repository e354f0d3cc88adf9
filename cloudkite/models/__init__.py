"""Models that jobs made: fetched to this machine, and used for predictions."""
