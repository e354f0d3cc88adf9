"""`invoke bench`: each row is measured against a peer, or against a plain yardstick, in one run; medians and ratios."""
