"""Cloud Pub/Sub: topics, and subscriptions that are pulled from; what was acknowledged is kept over a kill."""
