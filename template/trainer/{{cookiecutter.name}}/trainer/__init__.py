"""The code of this trainer; `python -m trainer.task` runs it."""
