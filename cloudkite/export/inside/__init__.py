"""Scripts that other environments run: a trainer's own with TensorFlow, or a small one without."""
