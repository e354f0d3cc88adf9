"""Google Cloud on this machine: real, unmodified Google clients talk to it, and it refuses what Google refuses."""

__version__ = "1"
