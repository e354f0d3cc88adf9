"""Scripts that run with a trainer's own Python, alone, without Cloudkite."""
