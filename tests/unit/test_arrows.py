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
