"""What an account is given: the Pulumi program of one Google Cloud project for TensorFlow training."""
