"""The floors of the local cloud: each part imports only what is below it, in no circle; no import hides."""

import ast
from functools import cache
from pathlib import Path

import localcloud

ROOT = Path(localcloud.__file__).parent
# From the ground up: what stands in a line may import from the lines above it. Imports inside functions and those for
# types alone count, too.
FLOORS = (
    ("core",),
    ("transport",),
    ("iam",),
    ("identity", "projects"),
    ("credentials", "services"),
    ("artifacts", "containers", "monitoring", "pubsub", "quotas"),
    ("storage",),
    ("logging",),
    ("run", "vertex"),
    ("functions",),
    ("assets",),
    ("billing",),
    ("bigquery",),
    ("faults",),
    ("provider",),
    ("control", "commands", ""),  # "": the modules at the top, apis.py among them, which put all of it together
)
MOST = 12  # modules in a folder, __init__.py apart
LARGE = {
    "storage": "one API whose parts each name one of its own words: buckets, objects, listing, lifecycle, protection",
    "vertex/serving": "models, endpoints, deployments and their server processes, which know each other closely",
}


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = ("localcloud", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of the local cloud that one imports, wherever in it and for whatever reason."""
    known, found = modules(), set()
    for node in ast.walk(ast.parse(known[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name in known}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                found |= {inner} if inner in known else {node.module} & known.keys()
    return frozenset(found - {module})


def room(module: str) -> str:
    """The folder at the top that a module is in."""
    parts = modules()[module].relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else ""


def test_every_folder_has_its_floor():
    assert {room(module) for module in modules()} == {name for floor in FLOORS for name in floor}


def test_arrows_go_down():
    height = {name: level for level, floor in enumerate(FLOORS) for name in floor}
    wrong = [
        f"{module} imports {other}"
        for module in modules()
        for other in imports(module)
        if room(module) != room(other)
        and height[room(other)] >= height[room(module)]
        and height[room(module)] < len(FLOORS) - 1
    ]
    assert not wrong


def test_there_is_no_circle():
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in sorted(imports(module)):
                walk(other, (*path, module))
            done.add(module)

    for module in modules():
        walk(module, ())
    assert len(done) > 200


def test_names_in_strings_are_modules():
    """What is imported by its name, or run by `-m`, is there: a move that forgets one fails here."""
    named = {
        (module, node.value)
        for module, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("localcloud.")
        if node.value.replace(".", "").replace("_", "").replace(":", "").isalnum()
    }
    assert len(named) > 30
    assert not {(module, name) for module, name in named if name.partition(":")[0] not in modules()}


def test_core_names_no_api():
    apis = {name for floor in FLOORS[2:-1] for name in floor}
    for module, path in modules().items():
        if room(module) == "core":
            words = {f"localcloud.{name}" for name in apis}
            assert not {word for word in words if f"{word}." in path.read_text(encoding="utf-8")}, module


def test_folders_are_small():
    sizes: dict[str, int] = {}
    for path in modules().values():
        if path.name != "__init__.py":
            folder = path.parent.relative_to(ROOT).as_posix()
            sizes[folder] = sizes.get(folder, 0) + 1
    assert {folder for folder, size in sizes.items() if size > MOST} == set(LARGE)
    assert sizes["."] < 10
