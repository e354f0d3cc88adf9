"""Replicas of jobs, and model servers: processes under supervisors that go on without the server."""
