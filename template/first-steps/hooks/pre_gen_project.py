"""Refuses a name before anything is generated: it becomes a folder, a Python project and a label of jobs at once.

`uv run invoke new` has the same rule and says the same.
"""

import keyword
import re
import sys

NAME = {{ cookiecutter.name | tojson }}
DEVICES = r"con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9]"  # names that Windows keeps

if (
    not re.fullmatch(r"[a-z]([a-z0-9_-]{0,38}[a-z0-9])?", NAME)
    or keyword.iskeyword(NAME)
    or re.fullmatch(DEVICES, NAME)
):
    sys.exit(
        f"error: {NAME!r} isn't a valid name for a trainer\n\n"
        "hint: lowercase letters, digits, - and _, first a letter, at most 40, "
        "not a word that Python or Windows keeps"
    )
