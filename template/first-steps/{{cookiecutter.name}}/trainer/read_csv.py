"""Reads a table of the planets: from data/ on this machine, from a bucket in a job."""

import csv
import os

import tensorflow as tf

folder = os.environ.get("DATA", "data")  # a job gets gs://BUCKET/... here
with tf.io.gfile.GFile(f"{folder}/planets.csv") as file:  # opens gs:// as it opens a path
    rows = list(csv.DictReader(file))
print(f"{len(rows)} planets, from {rows[0]['planet']} to {rows[-1]['planet']}")

# Kepler found in 1619: days squared by distance cubed is the same for all.
days = tf.constant([float(row["days"]) for row in rows])
distance = tf.constant([float(row["million_km"]) for row in rows])
for row, number in zip(rows, (days**2 / distance**3).numpy(), strict=True):
    print(f"{row['planet']:8} {number:.4f}")
