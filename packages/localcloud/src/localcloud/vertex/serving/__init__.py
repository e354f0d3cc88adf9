"""Vertex AI models, endpoints, online and batch prediction."""
