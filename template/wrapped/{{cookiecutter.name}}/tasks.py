"""The tasks of the Cloudkite clone, here: `uv run invoke --list` in this folder."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def is_own(place):
    """Whether a clone in a folder above is the person's, or the machine's: anyone can put one into /tmp."""
    if os.name != "posix":
        return True
    parts = [place / "cloudkite", place / "cloudkite" / "workspace.py", place / "tasks.py"]
    about = [part.stat() for part in parts if part.exists()]
    return all(one.st_uid in (os.getuid(), 0) and not one.st_mode & 0o002 for one in about)


SETTINGS = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {}).get("cloudkite", {})
PLACES = [HERE / SETTINGS["home"]] if SETTINGS.get("home") else []
PLACES += [Path(os.environ["CLOUDKITE_HOME"])] if os.environ.get("CLOUDKITE_HOME") else []
PLACES += [place for place in HERE.parents if is_own(place)]
PLACES += [Path(sys.prefix).parent]  # `uv run --project CLONE` runs with the clone's own environment
HOME = next((place.resolve() for place in PLACES if (place / "cloudkite" / "workspace.py").is_file()), None)
if HOME is None:
    sys.exit(
        "error: the Cloudkite clone of this trainer was not found\n\n"
        "hint: name its folder: `home` under [tool.cloudkite] in pyproject.toml, or CLOUDKITE_HOME"
    )

if importlib.util.find_spec("catalog") is None:
    # This is the trainer's environment, which has TensorFlow and not what the tasks need: the clone's has that.
    uv = os.environ.get("UV") or shutil.which("uv")
    if not uv:
        sys.exit(f"error: uv was not found\n\nhint: run this with it: uv run --project {HOME} invoke ...")
    command = [uv, "run", "--project", str(HOME), "invoke", *sys.argv[1:]]
    variables = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    if os.name == "posix":
        os.execve(uv, command, variables)  # Ctrl-C is for the tasks alone
    sys.exit(subprocess.run(command, env=variables).returncode)

# By its path: this module is called `tasks` too, so `import tasks` would find itself.
sys.path.insert(0, str(HOME))
_spec = importlib.util.spec_from_file_location("cloudkite_tasks", HOME / "tasks.py")
_module = importlib.util.module_from_spec(_spec)
sys.modules["cloudkite_tasks"] = _module
_spec.loader.exec_module(_module)
globals().update({name: value for name, value in vars(_module).items() if not name.startswith("_")})
