"""Checks that the accuracies of `wholeframe compare` are within their bounds; exits with status 1 if one is not."""

import csv
import sys

BOUNDS = {  # (task, block): lowest and highest accuracy
    ("recall", "none"): (0.0, 0.55),
    ("recall", "nl"): (0.98, 1.0),
    ("recall", "gc"): (0.0, 0.80),
    ("gist", "none"): (0.0, 0.70),
    ("gist", "nl"): (0.93, 1.0),
    ("gist", "gc"): (0.93, 1.0),
}

with open(sys.argv[1], newline="") as stream:
    reached = {(row["task"], row["block"]): float(row["accuracy"]) for row in csv.DictReader(stream)}
for key, (low, high) in BOUNDS.items():
    if not low <= reached[key] <= high:
        sys.exit(f"{' '.join(key)}: accuracy {reached[key]:.3f} is not within {low} to {high}")
print(f"all {len(BOUNDS)} figures hold")
