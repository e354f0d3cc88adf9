"""The code of this trainer; `python -m trainer.task` runs it."""

import os

# TensorFlow reads these when it is imported: no start-up notes, and the same results on every processor.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
