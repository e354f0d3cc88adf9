"""The verbs of the local cloud's command line that are about money, rights and drills."""
