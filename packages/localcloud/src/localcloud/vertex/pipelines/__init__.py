"""Training pipelines: a training job, and the model that it leaves."""
