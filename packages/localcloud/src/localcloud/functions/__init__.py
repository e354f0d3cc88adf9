"""Cloud Run functions: source out of a bucket, run as a process, called by events of Pub/Sub."""
