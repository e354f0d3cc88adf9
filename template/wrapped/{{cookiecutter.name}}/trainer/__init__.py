"""A program of its own, with what makes it run as a job, too."""

import os

# Read when TensorFlow and matplotlib are imported: no start-up notes, and figures without a screen.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("MPLBACKEND", "Agg")
