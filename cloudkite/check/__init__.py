"""The check before anything costs: code, data, two training steps, the export, and TensorFlow's versions."""
