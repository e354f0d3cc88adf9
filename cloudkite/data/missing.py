"""Words that stand for a missing number in people's tables: `new` takes them for blanks, `check` names them."""

WORDS = frozenset("na n/a #n/a nan null none nil - -- ? . missing unknown".split())
