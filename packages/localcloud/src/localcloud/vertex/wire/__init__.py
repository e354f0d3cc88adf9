"""Google's message types of Vertex AI, and what a request has that they can't hold."""
