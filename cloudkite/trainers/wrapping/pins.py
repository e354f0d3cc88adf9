"""From what a program imports to exact pins: versions that install beside TensorFlow 2.21 on Python 3.11."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

# What the template pins already; who asks for another version gets these, and is told.
CORE = {"tensorflow": "2.21.0", "keras": "3.15.1"}
_CORE_NAMES = {"tensorflow-cpu": "tensorflow", "tensorflow-gpu": "tensorflow", "tf-nightly": "tensorflow"}
# Distributions whose name isn't that of their module.
_DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "bs4": "beautifulsoup4",
    "imblearn": "imbalanced-learn",
    "IPython": "ipython",
    "absl": "absl-py",
    "mpl_toolkits": "matplotlib",
    "kerastuner": "keras-tuner",
}
_SAME = {"opencv-python": "opencv-python-headless", "sklearn": "scikit-learn", "pil": "pillow"}  # of pip's names
# Resolved together with the core by `uv pip compile` for Python 3.11 on 2026-11-29.
VERSIONS = {
    "absl-py": "2.5.1",
    "albumentations": "2.0.8",
    "beautifulsoup4": "4.15.0",
    "category-encoders": "2.11.2",
    "datasets": "5.2.0",
    "einops": "0.8.2",
    "gensim": "4.4.0",
    "graphviz": "0.21",
    "gymnasium": "1.4.0",
    "h5py": "3.14.0",
    "imageio": "2.38.1",
    "imbalanced-learn": "0.14.2",
    "ipython": "9.18.1",
    "joblib": "1.6.0",
    "keras-hub": "0.32.0",
    "keras-tuner": "1.4.8",
    "librosa": "0.11.0",
    "lightgbm": "4.7.0",
    "lxml": "6.1.3",
    "matplotlib": "3.11.2",
    "missingno": "0.5.2",
    "mlxtend": "0.25.0",
    "networkx": "3.6.1",
    "nltk": "3.10.4",
    "numpy": "2.4.6",
    "opencv-python-headless": "5.0.0.93",
    "openpyxl": "3.1.5",
    "optuna": "5.0.0",
    "pandas": "3.1.1",
    "pillow": "13.0.0",
    "plotly": "7.1.0",
    "psutil": "7.2.2",
    "pyarrow": "26.0.1",
    "pydot": "4.0.1",
    "pyyaml": "6.0.4",
    "regex": "2026.11.19",
    "requests": "2.34.2",
    "scikit-image": "0.26.0",
    "scikit-learn": "1.9.1",
    "scipy": "1.17.1",
    "seaborn": "0.13.2",
    "sentencepiece": "0.2.3",
    "shap": "0.51.0",
    "soundfile": "0.14.0",
    "statsmodels": "0.15.0",
    "sympy": "1.14.0",
    "tabulate": "0.10.0",
    "tensorflow-datasets": "4.9.10",
    "tensorflow-hub": "0.16.1",
    "tqdm": "4.70.1",
    "transformers": "5.24.0",
    "wordcloud": "1.9.6",
    "xgboost": "3.2.0",
    "yfinance": "1.7.0",
}
# What a function needs that the program doesn't import: its attribute -> the distribution.
_BEHIND = {"read_excel": "openpyxl", "to_excel": "openpyxl", "read_parquet": "pyarrow", "to_parquet": "pyarrow",
           "plot_model": "pydot"}  # fmt: skip
_ALREADY = {"tensorflow", "keras", "trainer", "google.colab"}


@dataclass
class Pins:
    """`lines` for pyproject.toml, sorted. `taken` are (place, what pip was told); `look` are (place, what is said)."""

    lines: list[str] = field(default_factory=list)
    taken: list[tuple[str, str]] = field(default_factory=list)
    look: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Import:
    """A module that is imported: its name up to the first dot, the line, and whether the program runs without it."""

    name: str
    line: int
    optional: bool = False


def imports(tree: ast.Module) -> list[Import]:
    """What a program imports, the first line of each; whatever is in a `try` that catches it is optional."""
    found: dict[str, Import] = {}
    todo: list[tuple[ast.AST, bool]] = [(tree, False)]
    while todo:
        node, optional = todo.pop(0)
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [("." * node.level) + (node.module or "")]
        for name in names:
            top = "google.colab" if name.startswith("google.colab") else name.partition(".")[0] or name
            known = found.get(top)
            if known is None or (known.optional and not optional):
                found[top] = Import(top, node.lineno, optional)  # pyright: ignore[reportAttributeAccessIssue]
        inside = isinstance(node, ast.Try) and bool(node.handlers)
        for child in ast.iter_child_nodes(node):
            todo.append((child, optional or (inside and child in node.body)))  # pyright: ignore
    return sorted(found.values(), key=lambda one: one.line)


def local(path: Path, found: Sequence[Import]) -> list[Import]:
    """Imports of files that lie beside the program."""
    return [
        one
        for one in found
        if one.name.startswith(".")
        or ((path.parent / f"{one.name}.py").is_file() and path.stem != one.name)
        or (path.parent / one.name / "__init__.py").is_file()
    ]


def given(path: Path) -> dict[str, str]:
    """The exact pins of a requirements file, by name. Raises BadValue with the line of one that is not exact."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        said = _("the file {path} doesn't exist").format(path=path)
        raise BadValue(said, _("check the name given to --requirements")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadValue(
            _("{path} can't be read: {error}").format(path=path, error=error), _("save it as UTF-8")
        ) from None
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        bare = re.split(r"(?:^|\s)#", line)[0].strip()
        if not bare:
            continue
        name, version = exact(bare)
        if not version:
            raise BadValue(
                _("{path}:{line}: {text!r} isn't an exact pin").format(path=path.name, line=number, text=bare),
                _("NAME==VERSION: laptop and cloud must run the same"),
            )
        found[name] = version
    return found


def exact(text: str) -> tuple[str, str]:
    """(name, version) of `name==version`, the version "" for any other requirement, and both for none."""
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return "", ""
    versions = [one.version for one in wanted.specifier if one.operator == "==" and "*" not in one.version]
    name = canonicalize_name(wanted.name)
    return _SAME.get(name, name), versions[0] if len(versions) == len(wanted.specifier) == 1 else ""


def pins(
    found: Sequence[Import],
    attributes: set[str],
    pips: Sequence[tuple[str, str]],
    requirements: dict[str, str],
    place: dict[int, str],
) -> Pins:
    """The pins of what is imported, and of what pip was told to install.

    `pips` are (place, requirement) and `requirements` those of a file, which go before all; `place` names lines. Raises
    BadValue that names each package whose version isn't known.
    """
    made, wanted, unknown = Pins(), dict(requirements), []
    installed = {}
    for where, text in pips:
        name, version = exact(text)
        core = _CORE_NAMES.get(name, name)
        if core in CORE:
            if version != CORE[core]:
                said = _("`pip install {text}`: it gets {name} {version}").format(
                    text=text, name=core, version=CORE[core]
                )
                made.look.append((where, said))
            continue
        installed[name or text] = (where, text, version)
        made.taken.append((where, text))
    modules = [one for one in found if one.name not in sys.stdlib_module_names and one.name not in _ALREADY]
    spare = [name for name in requirements if not any(_distribution(one.name) == name for one in modules)]
    names = {_distribution(one.name): one for one in modules}
    for name, one in names.items():
        if name in wanted:
            continue
        if name not in installed and name not in VERSIONS:
            if one.optional:
                said = _("{name} isn't installed: the program goes on without it").format(name=one.name)
                made.look.append((place[one.line], said))
            elif spare:
                spare.pop()
            else:
                unknown.append(f"{place[one.line]}: {one.name}")
            continue
        if name in VERSIONS and not one.optional:
            wanted[name] = VERSIONS[name]
    for attribute, name in _BEHIND.items():
        if attribute in attributes:
            wanted.setdefault(name, VERSIONS[name])
    for name, (where, text, version) in installed.items():
        if name in requirements:
            continue
        if version and version != VERSIONS.get(name):
            wanted[name] = version
            said = _("{name}=={version} was not tried with TensorFlow {core}: the check installs it")
            made.look.append((where, said.format(name=name, version=version, core=CORE["tensorflow"])))
        elif name in VERSIONS:
            wanted[name] = VERSIONS[name]
        elif not version:
            unknown.append(f"{where}: {text}")
    if unknown:
        raise BadValue(
            _("the version isn't known of: {names}").format(names="; ".join(unknown)),
            _("name it in a file, NAME==VERSION a line: --requirements FILE"),
        )
    for name in [name for name in wanted if _CORE_NAMES.get(name, name) in CORE]:
        core = _CORE_NAMES.get(name, name)
        if wanted.pop(name) != CORE[core]:
            said = _("{name} is {version} in each trainer").format(name=core, version=CORE[core])
            made.look.append(("--requirements", said))
    made.lines = [f"{name}=={version}" for name, version in sorted(wanted.items())]
    return made


def _distribution(module: str) -> str:
    return canonicalize_name(_DISTRIBUTIONS.get(module, module))
