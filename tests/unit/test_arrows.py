"""The arrows between the packages go one way, and nothing heavy is loaded before it is needed."""

import ast
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
    "infra": set(),
    "localcloud": {"catalog", "environments"},
    "cloudkite": {"catalog", "environments"},
    "tasks": {"cloudkite"},
    "template": set(),  # a trainer runs without this repository
}
ENGINE_MAY = {"infra"}
HEAVY = {"pulumi", "pulumi_gcp", "google.cloud.aiplatform_v1", "google.cloud.storage", "rich", "requests", "tensorflow"}


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
        if package == "cloudkite" and "engine" in path.relative_to(CLONE).parts:
            may |= ENGINE_MAY
        used = {name.partition(".")[0] for name in imported(path)} & OURS
        wrong += [f"{path.relative_to(CLONE)} imports {name}" for name in sorted(used - may)]
    assert not wrong


def test_every_package_has_modules_to_check():
    assert all(modules(package) for package in ALLOWED)


# The floors of cloudkite/, upper first: none imports from one above it. Every other room is a part.
FLOORS = {"commands": 0, "bench": 1, "journey": 1}
PARTS = 2
PRINTING = {"commands", "journey", "bench", "show"}
# Runs in a process of its own, and answers on its standard output.
OWN_PROCESS = {"cloudkite.jobs.bootstrap", "cloudkite.models.predict_rows"}
MANY = {"commands": "a command each", "engine": "the Pulumi engine, whose folder is a part of its own"}
MOST = 12  # loose modules in a folder


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


def test_a_folder_is_no_heap():
    folders = {path.parent for path in modules("cloudkite")}
    full = {f.name for f in folders if sum(p.name != "__init__.py" for p in f.glob("*.py")) > MOST}
    assert full == set(MANY)


@pytest.mark.parametrize(
    "module", ["tasks", "cloudkite.accounts.target", "cloudkite.accounts.registry", "localcloud.__main__", "catalog"]
)
def test_importing_loads_nothing_heavy(module):
    script = f"import sys, importlib; importlib.import_module({module!r}); print('\\n'.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=CLONE, capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert not HEAVY & set(loaded.stdout.split())


def test_there_is_no_grab_bag():
    names = {path.stem for package in OURS for path in modules(package)}
    assert not names & {"utils", "util", "helpers", "helper", "common", "base", "misc"}
