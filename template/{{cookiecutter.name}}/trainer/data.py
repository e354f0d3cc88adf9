"""Your data: the columns, the label and where they come from.

Expected: 0.98 to 1.00 of 69 held-out penguins right (8 ways to hold out), after 1 to 3 seconds of training on 2 cores.
Command: python -m trainer.task
Only literals here: other programs read this file without running it.
"""

# The columns the model sees; others in the file are left alone. The value is what a blank field means:
# float("nan") makes a column of numbers (blank: the mean), "" a column of text (blank: a word of its own).
COLUMNS = {
    "island": "",
    "bill_length_mm": float("nan"),
    "bill_depth_mm": float("nan"),
    "flipper_length_mm": float("nan"),
    "body_mass_g": float("nan"),
    "sex": "",
}

# What the people who have such data call a column, where COLUMNS needs a plainer name: "height_cm": "Height (cm)".
HEADERS = {}

# The column to predict, and the values it can have; no classes, (), makes it a number to estimate.
LABEL = "species"
CLASSES = ("Adelie", "Chinstrap", "Gentoo")

# What is read without --data, from this trainer's folder.
DATA = "data/penguins.csv"

# Where numbers are expected to be; a run tells which columns leave their range.
RANGES = {
    "bill_length_mm": (32.1, 59.6),
    "bill_depth_mm": (13.1, 21.5),
    "flipper_length_mm": (172.0, 231.0),
    "body_mass_g": (2700.0, 6300.0),
}
