"""Cloud Run jobs: run.googleapis.com/v2, over REST and gRPC."""
