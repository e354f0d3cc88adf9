"""What can't become a job as it is: keys in the text, TensorFlow 1, Python 2."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from cloudkite.show.text import _
from cloudkite.trainers.wrapping.calls import Names
from cloudkite.trainers.wrapping.reading import Program

# Keys by their look. Google, OpenAI, Hugging Face, GitHub, GitLab, AWS, Slack, private keys in PEM.
_KEY = re.compile(
    r"AIza[0-9A-Za-z_-]{35}|\bsk-[A-Za-z0-9_-]{20,}|\bhf_[A-Za-z0-9]{30,}|\bgh[pousr]_[A-Za-z0-9]{36}"
    r"|\bgithub_pat_[A-Za-z0-9_]{40,}|\bglpat-[A-Za-z0-9_-]{20}|\bAKIA[0-9A-Z]{16}\b|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\bya29\.[A-Za-z0-9_-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----|\"private_key_id\""
)
_SECRET_NAME = re.compile(r"(?i)(?:^|_|\b)(?:api_?key|secret(?:_?key)?|access_?key|auth_?token|password|passwd|pwd)$")
_TOKEN_NAME = re.compile(r"(?i)(?:^|_)(?:token|key)$")
_PLACEHOLDER = re.compile(r"(?i)your|xxx|\.\.\.|<.*>|\{.*\}|example|changeme|\s")
_OF_TENSORFLOW_1 = frozenset(
    "Session InteractiveSession placeholder placeholder_with_default contrib app flags logging layers ConfigProto "
    "get_variable variable_scope global_variables_initializer initialize_all_variables get_default_graph "
    "reset_default_graph local_variables_initializer trainable_variables AUTO_REUSE get_collection to_float to_int32 "
    "log div".split()
)
_OF_ITS_TRAIN = frozenset(
    "AdamOptimizer GradientDescentOptimizer RMSPropOptimizer MomentumOptimizer AdagradOptimizer Saver "
    "MonitoredTrainingSession global_step get_or_create_global_step".split()
)
_OF_PYTHON_2 = frozenset("xrange raw_input unicode basestring unichr reload".split())


def keys(program: Program) -> Iterator[tuple[str, str]]:
    """(place, what is said) of each text that looks like a key: in code, notes and outputs. The key isn't quoted."""
    for place, text in program.texts:
        if _KEY.search(text):
            yield place, _("there is a key in it")


def secrets(tree: ast.Module, place: dict[int, str]) -> Iterator[tuple[str, str]]:
    """The same for values that are named as a secret: api_key="...", os.environ["TOKEN"] = "..."."""
    for node in ast.walk(tree):
        pairs: list[tuple[str, ast.expr]] = []
        if isinstance(node, ast.Assign):
            pairs = [(_named(target), node.value) for target in node.targets]
        elif isinstance(node, ast.Call):
            pairs = [(keyword.arg or "", keyword.value) for keyword in node.keywords]
        elif isinstance(node, ast.Dict):
            pairs = [
                (str(k.value), v) for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)
            ]
        for name, value in pairs:
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and _is_secret(name, value.value):
                yield place[value.lineno], _("{name} has its value in the program").format(name=name)


def _named(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
    return ""


def _is_secret(name: str, value: str) -> bool:
    if _PLACEHOLDER.search(value) or re.fullmatch(r"[A-Z_]+", value):  # the name of a variable that has it
        return False
    if _SECRET_NAME.search(name):
        return len(value) >= 6
    mixed = re.search(r"\d", value) and re.search(r"[A-Za-z]", value)
    return bool(_TOKEN_NAME.search(name) and len(value) >= 20 and mixed)


def old(tree: ast.Module, names: Names, place: dict[int, str]) -> Iterator[tuple[str, str]]:
    """(place, what is said) of what TensorFlow 2 or Python 3 no longer has."""
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            full = names.full(node)
            parts = full.split(".")
            gone = len(parts) == 2 and parts[0] == "tensorflow" and parts[1] in _OF_TENSORFLOW_1
            gone |= len(parts) == 3 and parts[:2] == ["tensorflow", "train"] and parts[2] in _OF_ITS_TRAIN
            if gone:
                yield place[node.lineno], _("{name} is TensorFlow 1").format(name="tf." + ".".join(parts[1:]))
        elif isinstance(node, ast.ImportFrom | ast.Import):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            for module in modules:
                if module.startswith(("tensorflow.contrib", "tensorflow.examples")):
                    yield place[node.lineno], _("{name} is TensorFlow 1").format(name=module)
        elif isinstance(node, ast.Name) and node.id in _OF_PYTHON_2 - bound and isinstance(node.ctx, ast.Load):
            if names.full(node) == node.id:
                yield place[node.lineno], _("{name} is Python 2").format(name=node.id)


def told(tree: ast.Module, names: Names, place: dict[int, str]) -> Iterator[tuple[str, str]]:
    """(place, what is said) of the first line that is TensorFlow 1 by the way that TensorFlow 2 has for it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and names.full(node).startswith("tensorflow.compat.v1"):
            yield place[node.lineno], _("tensorflow.compat.v1 is TensorFlow 1 inside TensorFlow 2: it may run")
            return
