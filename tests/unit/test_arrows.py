"""The arrows between the packages go one way, and nothing heavy is loaded before it is needed."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[2]
PACKAGES = {"localcloud", "catalog", "environments"}
OURS = {"cloudkite", "infra", "tasks", *PACKAGES}
ALLOWED = {
    "catalog": set(),
    "environments": set(),
    "infra": {"catalog"},
    "localcloud": {"catalog", "environments"},
    "cloudkite": {"catalog", "environments"},
    "tasks": {"cloudkite"},
    "template": set(),  # a trainer runs without this repository
}
# Parts of cloudkite/ may import from the program what it takes and gives; the engine runs it.
OF_THE_PROGRAM = {
    "money": {"infra.known", "infra.settings"},
    "engine": {"infra.program", "infra.mistakes", "infra.outputs", "infra.known", "infra.settings"},
    "classes": {"infra.settings", "infra.mistakes", "infra.outputs"},
    "accounts": {"infra.settings", "infra.mistakes", "infra.outputs", "infra.known"},
}
HEAVY = {
    "pulumi",
    "pulumi_gcp",
    "google.cloud.aiplatform_v1",
    "google.cloud.storage",
    "pydantic",
    "rich",
    "requests",
    "tensorflow",
}


def modules(package: str) -> list[Path]:
    if package == "tasks":
        return [CLONE / "tasks.py"]
    folder = CLONE / "packages" / package / "src" if package in PACKAGES else CLONE / package
    return sorted(folder.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Every module that a file names in an import, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_package_imports_only_what_it_may(package):
    wrong = []
    for path in modules(package):
        may = ALLOWED[package] | {package}
        part = path.relative_to(CLONE).parts[1] if package == "cloudkite" else ""
        used = {name for name in imported(path) if name.partition(".")[0] in OURS}
        used -= OF_THE_PROGRAM.get(part, set())
        wrong += [
            f"{path.relative_to(CLONE)} imports {name}" for name in sorted(used) if name.partition(".")[0] not in may
        ]
    assert not wrong


def test_every_package_has_modules_to_check():
    assert all(modules(package) for package in ALLOWED)


# The floors of cloudkite/, upper first: none imports from one above it. Every other room is a part.
FLOORS = {"commands": 0, "bench": 1, "journey": 1}
PARTS = 2
PRINTING = {"commands", "journey", "bench", "show"}
# Runs in a process of its own, and answers on its standard output.
OWN_PROCESS = {"cloudkite.jobs.bootstrap", "cloudkite.models.predict_rows", "cloudkite.check.inside.rehearse"}


def names_of(path: Path) -> str:
    parts = path.relative_to(CLONE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def edges() -> dict[str, set[str]]:
    """Which modules of cloudkite/ each imports, inside functions and for types too."""
    paths = {names_of(path): path for path in modules("cloudkite")}
    found: dict[str, set[str]] = {}
    for module, path in paths.items():
        named = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                below = {f"{node.module}.{name.name}" for name in node.names}
                named |= (below & set(paths)) or {node.module}
        found[module] = named & set(paths)
    return found


def test_the_rooms_stand_on_floors():
    floor = {module: FLOORS.get(room(module), PARTS) for module in edges()}
    assert not [(one, other) for one, used in edges().items() for other in used if floor[other] < floor[one]]


def test_nothing_imports_itself_by_way_of_others():
    left = edges()
    while ends := [module for module, used in left.items() if not used & set(left)]:
        for module in ends:
            del left[module]
    assert not {module: used & set(left) for module, used in left.items()}


def test_data_is_read_the_same_for_all_who_read_it():
    """Who judges a person's data, or learns from it, reads it through cloudkite.data, which knows none of them."""
    used = {other for one, others in edges().items() if room(one) == "data" for other in others}
    assert {room(module) for module in used} == {"data", "show"}
    readers = {
        names_of(path)
        for path in modules("cloudkite")
        if re.search(r"\bcsv\.(reader|DictReader)\b", path.read_text(encoding="utf-8"))
    }
    assert readers == {"cloudkite.data.reading"}


def test_parts_print_nothing():
    wrong = []
    for path in modules("cloudkite"):
        module = names_of(path)
        if room(module) in PRINTING or module in OWN_PROCESS:
            continue
        text = ast.parse(path.read_text(encoding="utf-8"))
        calls = {n.func.id for n in ast.walk(text) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        if calls & {"print", "input"} or any(name.partition(".")[0] == "rich" for name in imported(path)):
            wrong.append(module)
    said = {one for one, used in edges().items() if "cloudkite.show.screen" in used and room(one) not in PRINTING}
    assert not wrong
    assert not said


@pytest.mark.parametrize(
    "module", ["tasks", "cloudkite.accounts.target", "cloudkite.accounts.registry", "localcloud.__main__", "catalog"]
)
def test_importing_loads_nothing_heavy(module):
    script = f"import sys, importlib; importlib.import_module({module!r}); print('\\n'.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=CLONE, capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert not HEAVY & set(loaded.stdout.split())


# Also in the text of a script that a test runs.
_IMPORT = re.compile(r"^[ \t]*(?:from +([\w.]+) +)?import +(\([^)]*\)|[^\n#]*)", re.MULTILINE)


def test_no_test_imports_a_test():
    """What tests share stands in modules of its own, or in conftest.py."""
    folders = [CLONE / "tests", *sorted(CLONE.glob("packages/*/tests"))]
    found = [
        f"{path.relative_to(CLONE)}: {line[0].strip()}"
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        for line in _IMPORT.finditer(path.read_text(encoding="utf-8"))
        if any(word.startswith("test_") for word in re.findall(r"\w+", f"{line[1]} {line[2]}"))
    ]
    assert len(folders) > 1
    assert not found


def test_there_is_no_grab_bag():
    names = {path.stem for package in OURS for path in modules(package)}
    assert not names & {"utils", "util", "helpers", "helper", "common", "base", "misc"}
