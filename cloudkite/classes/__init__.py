"""A class: who learns in it, in whose project, for how much; how one joins, submits, and leaves."""
