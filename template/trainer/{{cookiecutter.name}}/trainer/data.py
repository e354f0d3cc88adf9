"""Your data: the columns, the label and where they come from.

Expected: 0.98 to 1.00 of 69 held-out penguins right (8 ways to hold out), after 1 to 3 seconds of training on 2 cores.
Command: python -m trainer.task
Literals, which other programs read without running them; rows that no CSV file has come from a function, `load`.
"""

# The columns the model sees, others are left alone: "number" (blank: the mean), "category" (one of few words; blank: a
# word of its own), "text" (sentences, by their words), "letters" (by letters and pairs of them), "date" (2026-03-05 or
# 2026-03-05T14:30), or the sizes of an array: (28, 28).
COLUMNS = {
    "island": "category",
    "bill_length_mm": "number",
    "bill_depth_mm": "number",
    "flipper_length_mm": "number",
    "body_mass_g": "number",
    "sex": "category",
}

# What the people who have such data call a column, where COLUMNS needs a plainer name: "height_cm": "Height (cm)".
HEADERS = {}

# The column to predict, and the values it can have; no classes, (), makes it a number to estimate.
LABEL = "species"
CLASSES = ("Adelie", "Chinstrap", "Gentoo")

# What is read without --data, from this trainer's folder.
DATA = "data/penguins.csv"

# Rows to hold out: those of the same GROUP (a patient, a class) stay together; by TIME, the newest. "": by chance.
GROUP = ""
TIME = ""

# A column of numbers that says how much each row counts while learning; "": all the same.
WEIGHT = ""

# Where numbers are expected to be; the check tells which columns leave their range.
RANGES = {
    "bill_length_mm": (32.1, 59.6),
    "bill_depth_mm": (13.1, 21.5),
    "flipper_length_mm": (172.0, 231.0),
    "body_mass_g": (2700.0, 6300.0),
}
