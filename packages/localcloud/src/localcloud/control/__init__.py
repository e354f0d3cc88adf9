"""What the command line asks a running server, which its owner alone may."""
