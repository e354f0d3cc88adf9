"""Changes a program so that it runs as a job: what it reads and writes gets a place, and little else is touched."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cloudkite.show.text import _
from cloudkite.trainers.wrapping.calls import DATA, OUTPUT, Names, path_of

_SUFFIX = re.compile(
    r"(?i)[^\n*?\"<>|]*\.(?:csv|tsv|txt|json|jsonl|npy|npz|h5|hdf5|keras|parquet|xlsx?|pkl|pickle|tfrecords?|zip|gz|tar|"
    r"jpe?g|png|bmp|gif|wav|mp3|mat|db|sqlite)"
)
_ELSEWHERE = re.compile(
    r"(?:/(?:content|kaggle|home|Users|mnt|root|data|datasets|media|tmp|gdrive|drive|opt|var)(?:/|$)|[A-Za-z]:[\\/]|~[\\/])"
)
_EPOCHS = re.compile(r"(?i)(?:(?:n|num|number_of|max|total)_?)?epochs?|epochs?_(?:num|count)")
_OF_SYSTEMS = ("TF_", "CUDA", "XLA_", "KERAS_", "PYTHON", "MPL", "PATH", "HOME", "USER", "AIP_", "CLOUD_ML", "OMP_")
# What may hold a path: a value that is kept, given or put together; no test, no text that stands for itself.
_HOLDERS = (ast.Assign, ast.AnnAssign, ast.Call, ast.keyword, ast.List, ast.Tuple, ast.BinOp, ast.Dict, ast.arguments)


@dataclass(frozen=True)
class Edit:
    """From (line, byte) to (line, byte), lines from 1, becomes `text`."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str


@dataclass
class Rewritten:
    """The changed source. `done` and `look` are (line, what is said); `own` are options that the program reads;
    `files` are paths that it names and reads."""

    source: str = ""
    done: list[tuple[int, str]] = field(default_factory=list)
    look: list[tuple[int, str]] = field(default_factory=list)
    own: tuple[str, ...] = ()
    shorter: bool = False
    files: list[str] = field(default_factory=list)


def rewrite(source: str, tree: ast.Module, names: Names, there: Callable[[str], bool]) -> Rewritten:
    """The program with its places. The tree must be that of the source; `there` tells whether a path is beside it."""
    return _Rewriter(source, tree, names, there).run()


class _Rewriter:
    def __init__(self, source: str, tree: ast.Module, names: Names, there: Callable[[str], bool]) -> None:
        self.lines = [f"{line}\n".encode() for line in source.removesuffix("\n").split("\n")]  # as Python counts them
        self.tree, self.names, self.there, self.found = tree, names, there, Rewritten()
        self.beside = {"__file__"}  # names of where the program itself is
        self.saved: set[str] = set()  # what it writes: no data that must be there before
        self.edits: list[Edit] = []
        self.wrapped: set[ast.AST] = set()
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | names.imported.keys()
        self.own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        self.own |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        self.module = next(name for name in ("places", "places_", "trainer_places") if name not in used)
        self.texts = self._assigned()
        exports = [call for call in self._calls() if self._exports(call)]
        self.single = exports[0] if len(exports) == 1 else None

    def run(self) -> Rewritten:
        self.found.own = self._options()
        self._colab()
        self._epochs()
        calls = [(call, named) for call in self._calls() if (named := path_of(call, self.names.full(call.func)))]
        calls.sort(key=lambda one: one[1][0] != OUTPUT)  # a name that is written to is the output's, whoever reads it
        for call, (kind, path) in calls:
            self._place(call, kind, path)
        for call in self._calls():
            self._call(call)
        self._literals()
        self._variables()
        if self.edits and any(f"{self.module}." in edit.text for edit in self.edits):
            self._import()
        self.found.source = self._applied()
        return self.found

    # --- what is changed

    def _place(self, call: ast.Call, kind: str, path: ast.expr) -> None:
        """Give a path its place: where it is written down, once."""
        target = self._written_down(path)
        if target is None or target in self.wrapped:
            return
        text = target.value if isinstance(target, ast.Constant) and isinstance(target.value, str) else None
        if text is not None and (not text.strip() or "://" in text):
            if "://" in text and kind == DATA:
                self.found.look.append((target.lineno, _("reads {address} over the network").format(address=text)))
            return
        last = self.names.full(call.func).rpartition(".")[2]
        if last in ("chdir", "Path") and text is None:
            return
        function = "model" if kind == OUTPUT and call is self.single and text is not None else kind
        new = text
        if text is not None and self._of_model(call, last):
            new = _named(last, text) if kind == OUTPUT or _named(last, text) in self.saved else text
        self.saved |= {new, text} if kind == OUTPUT and new and text else set()
        self._wrap(target, function, new)
        if text is None:
            looked, kept = _("the path is looked for in data/ first"), _("what it writes goes with the results")
            self.found.done.append((target.lineno, looked if kind == DATA else kept))
            texts = [one.value for one in ast.walk(target) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            self.found.files += [one for one in texts if kind == DATA and self.there(one)]
        elif kind == OUTPUT:
            self.found.done.append((target.lineno, _("{path} goes with the results").format(path=repr(text))))
            if new != text:
                said = _("Keras 3 wants another ending: {new} instead of {old}")
                self.found.look.append((target.lineno, said.format(new=repr(new), old=repr(text))))
        elif new in self.saved or text in self.saved:
            self.found.done.append((target.lineno, _("{path} is read from the results").format(path=repr(text))))
        else:
            self.found.files.append(text)
            self.found.done.append((target.lineno, _("{path} is looked for in data/ first").format(path=repr(text))))

    def _written_down(self, path: ast.expr) -> ast.expr | None:
        """The expression to change for a path: a literal, the literal that a name was given, or what is put together."""
        if isinstance(path, ast.Name) and path.id not in self.beside:
            return self.texts.get(path.id)
        if any(isinstance(one, ast.Name) and one.id in self.beside for one in ast.walk(path)):
            return path  # from __file__ on: in a job, that is in a package
        root = _root(path)
        if isinstance(root, ast.Name):
            backslash = any(isinstance(one, ast.Constant) and "\\" in str(one.value) for one in ast.walk(path))
            return path if backslash and root.id in self.texts else self.texts.get(root.id)
        return path if isinstance(root, ast.Constant) and isinstance(root.value, str) else None

    def _wrap(self, node: ast.expr, function: str, text: str | None = None) -> None:
        """Put a function of places around an expression; `text` is another literal in its place."""
        self.wrapped |= set(ast.walk(node))
        start, end = self._span(node)
        if text is not None and isinstance(node, ast.Constant) and text != node.value:
            self.edits.append(Edit(start, end, f"{self.module}.{function}({json.dumps(text, ensure_ascii=False)})"))
        else:
            self.edits += [Edit(start, start, f"{self.module}.{function}("), Edit(end, end, ")")]

    def _epochs(self) -> None:
        """--epochs takes the place of the number of epochs, where that is written down or given to fit."""
        named: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and type(node.value.value) is int:
                for target in node.targets:
                    if isinstance(target, ast.Name) and _EPOCHS.fullmatch(target.id) and "initial" not in target.id:
                        named.add(target.id)
                        self._count(node.value)
        for call in self._calls():
            for keyword in call.keywords if self.names.full(call.func).endswith(".fit") else ():
                value = keyword.value
                given = isinstance(value, ast.Name) and value.id not in named and "--epochs" not in self.found.own
                if keyword.arg == "epochs" and (isinstance(value, ast.Constant) or given):
                    self._count(value)

    def _count(self, node: ast.expr) -> None:
        if node not in self.wrapped:
            self._wrap(node, "epochs")
            self.found.shorter = True
            self.found.done.append((node.lineno, _("--epochs can say another number")))

    def _colab(self) -> None:
        """What only Colab has goes, or gets what stands for it here."""
        theirs = {name: full for name, full in self.names.imported.items() if full.startswith("google.colab")}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
                if module.startswith("google.colab") and not self._in_try(node):
                    self._remove(node, _("Colab's own"))
        for call in self._calls():
            full = self.names.full(call.func)
            if not full.startswith("google.colab") or not theirs:
                continue
            statement, said = self.parents[call], full.removeprefix("google.colab.")
            if said == "files.upload" and not isinstance(statement, ast.Expr):
                self._replace(call, f"{self.module}.uploaded()")
                self.found.done.append((call.lineno, _("files.upload() gives the files in data/")))
            elif said == "userdata.get" and call.args and isinstance(call.args[0], ast.Constant):
                name = str(call.args[0].value)
                self._replace(call, f"{self.module}.variable({ast.unparse(call.args[0])})")
                self.found.look.append((call.lineno, _needs(name)))
            elif isinstance(statement, ast.Expr):
                self._remove(statement, _COLAB.get(said, _("Colab's own")))
            else:
                said = _("{name} works in Colab only: take it out").format(name=f"{said}()")
                self.found.look.append((call.lineno, said))

    def _call(self, call: ast.Call) -> None:
        """Calls that are told of, and two that are changed."""
        full, line = self.names.full(call.func), call.lineno
        if full in self.own:
            pass
        elif full == "display":
            self._replace(call.func, "print")
            self.found.done.append((line, _("display() prints")))
        elif full == "matplotlib.use" and call.args:
            self._replace(call.args[0], '"Agg"')
            self.found.done.append((line, _("matplotlib draws without a screen")))
        elif full in ("input", "getpass.getpass"):
            said = _("{name}() waits for somebody to type, and a job has no keyboard: write the value into the program")
            self.found.look.append((line, said.format(name=full)))
        elif full.endswith(".show") and full.startswith("matplotlib"):
            if not any(self.names.full(one.func).endswith(".savefig") for one in self._calls()):
                self.found.look.append(
                    (line, _("plt.show() shows nothing in a job: plt.savefig() before it keeps the figure"))
                )
        elif full in ("os.getenv", "os.environ.get") and call.args and isinstance(call.args[0], ast.Constant):
            self._needs(line, str(call.args[0].value))
        elif re.search(r"datasets\.\w+\.load_data$|tensorflow_datasets\.load$|utils\.get_file$|\.KerasLayer$", full):
            self.found.look.append((line, _("{name} downloads at each run").format(name=full.removeprefix("keras."))))
        elif "TPUClusterResolver" in full:
            self.found.look.append((line, _("a TPU of Colab's: a job has one with --tpu only")))
        elif full.endswith(("fit_generator", "predict_generator", "predict_classes", "evaluate_generator")):
            said = _("{name} is gone from Keras 3: use fit, predict or evaluate")
            self.found.look.append((line, said.format(name=full.rpartition(".")[2])))
        for keyword in call.keywords:
            if (
                keyword.arg == "weights"
                and isinstance(keyword.value, ast.Constant)
                and isinstance(keyword.value.value, str)
            ):
                if keyword.value.value == "imagenet":
                    self.found.look.append((line, _("weights of imagenet are downloaded at each run")))
                elif _SUFFIX.fullmatch(keyword.value.value) and keyword.value not in self.wrapped:
                    self._place(call, DATA, keyword.value)
            elif keyword.arg == "lr" and full.startswith("keras.optimizers"):
                self.found.look.append((line, _("lr is called learning_rate in Keras 3")))

    def _literals(self) -> None:
        """Paths elsewhere: one of another machine, or of a file beside the program, gets a place; others are told."""
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or "\n" in node.value:
                continue
            parent, text = self.parents[node], node.value
            if isinstance(parent, ast.JoinedStr):
                if parent.values[0] is not node or not _ELSEWHERE.match(text):
                    continue
                whole: ast.expr = parent
            else:
                whole = node
            named = _SUFFIX.fullmatch(text) and isinstance(parent, _HOLDERS) and self._not_asked(parent)
            if whole in self.wrapped or not isinstance(self.parents[whole], _HOLDERS):
                continue
            if _ELSEWHERE.match(text) or (named and self.there(text)):
                self._wrap(whole, DATA)
                self.found.files += [text] if whole is node else []
                self.found.done.append((node.lineno, _("{path} is looked for in data/ first").format(path=repr(text))))
            elif named and not isinstance(parent, ast.Dict):
                said = _("{path} was left as it is: is it a file that the program reads or writes?")
                self.found.look.append((node.lineno, said.format(path=repr(text))))

    def _not_asked(self, parent: ast.AST) -> bool:
        """Whether it isn't just part of a path that is put together, or of a test of a name."""
        full = self.names.full(parent.func) if isinstance(parent, ast.Call) else ""
        return not full.endswith((".join", ".endswith", ".replace", ".add_argument", "print", ".get_file", ".title"))

    def _variables(self) -> None:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
                if self.names.full(node.value) == "os.environ" and isinstance(node.slice, ast.Constant):
                    self._needs(node.lineno, str(node.slice.value))

    def _needs(self, line: int, name: str) -> None:
        if not name.startswith(_OF_SYSTEMS):
            self.found.look.append((line, _needs(name)))

    def _options(self) -> tuple[str, ...]:
        """The options that the program reads by itself; "..." where it reads the command line in some other way."""
        found: list[str] = []
        for call in self._calls():
            full = self.names.full(call.func)
            texts = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if full.endswith(".add_argument"):
                found += texts[:2]
            elif full.startswith(("absl.flags.DEFINE", "click.option")) and texts:
                found.append(f"--{texts[0].lstrip('-')}")
        reads = any(
            isinstance(node, ast.Attribute) and self.names.full(node) == "sys.argv" for node in ast.walk(self.tree)
        )
        return tuple(dict.fromkeys(found)) or (("...",) if reads else ())

    def _import(self) -> None:
        """One line, after the docstring and what must be first."""
        body, after = self.tree.body, 0
        for i, node in enumerate(body):
            docstring = i == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if docstring or (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
                after = node.end_lineno or node.lineno
        if not after:
            while after < len(self.lines) and self.lines[after].startswith(b"#"):
                after += 1
        name = "places" if self.module == "places" else f"places as {self.module}"
        self.edits.insert(0, Edit((after + 1, 0), (after + 1, 0), f"from trainer import {name}\n"))

    # --- how it is changed

    def _replace(self, node: ast.expr, text: str) -> None:
        if node in self.wrapped:
            return
        self.wrapped |= set(ast.walk(node))
        self.edits.append(Edit(*self._span(node), text))

    def _remove(self, node: ast.stmt, said: str) -> None:
        """A statement becomes a comment; `pass` where one must stand, or where it shares its line."""
        self.wrapped |= set(ast.walk(node))
        (line, start), (last, end) = self._span(node)
        before, after = self.lines[line - 1][:start], self.lines[last - 1][end:].strip()
        parent = self.parents[node]
        alone = not before.strip() and (not after or after.startswith(b"#"))
        text = b"".join(self.lines[line - 1 : last]).decode().strip().split("\n")
        shown = text[0] if len(text) == 1 else f"{text[0]} ..."
        if alone and isinstance(parent, ast.Module):
            self.edits.append(Edit((line, start), (last, len(self.lines[last - 1].rstrip(b"\n"))), f"# {shown}"))
        else:
            self.edits.append(Edit((line, start), (last, end), "pass"))
        self.found.done.append((line, _("left out: {text} ({why})").format(text=shown, why=said)))

    def _applied(self) -> str:
        """The source with all edits: from the end, so that places before stay right."""
        lines = list(self.lines)
        order = sorted(enumerate(self.edits), key=lambda one: (one[1].start, one[1].end, one[0]), reverse=True)
        for _i, edit in order:
            (line, start), (last, end) = edit.start, edit.end
            if line > len(lines):
                lines.append(b"")
            kept = lines[line - 1][:start] + edit.text.encode() + lines[last - 1][end:]
            lines[line - 1 : last] = [kept]
        return b"".join(lines).decode()

    # --- what is there

    def _calls(self) -> list[ast.Call]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]

    def _assigned(self) -> dict[str, ast.expr]:
        """The literal, or what is put together from one, that a name is given; none where it is given several."""
        found: dict[str, list[ast.expr]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, []).append(node.value)
                        if any(isinstance(one, ast.Name) and one.id in self.beside for one in ast.walk(node.value)):
                            self.beside.add(target.id)
            elif isinstance(node, ast.For | ast.comprehension | ast.AugAssign):
                for name in ast.walk(node.target):
                    if isinstance(name, ast.Name):
                        found.setdefault(name.id, []).append(node.target)
        kept: dict[str, ast.expr] = {}
        for name, values in found.items():
            root = _root(values[0])
            if len(values) == 1 and isinstance(root, ast.Constant) and isinstance(root.value, str):
                kept[name] = values[0]
        for name, values in found.items():  # a name that is made from another is where that is
            root = _root(values[0]) if len(values) == 1 else None
            if isinstance(root, ast.Name) and root.id in kept and name not in kept:
                kept[name] = kept[root.id]
        return kept

    def _exports(self, call: ast.Call) -> bool:
        full = self.names.full(call.func)
        return full == "tensorflow.saved_model.save" or (full.endswith(".export") and self._of_model(call, "export"))

    def _of_model(self, call: ast.Call, last: str) -> bool:
        """Whether what is saved or loaded is a Keras model."""
        if last in ("save_weights", "load_weights", "load_model", "export"):
            return True
        if last not in ("save", "save_model") or not isinstance(call.func, ast.Attribute):
            return False
        if self.names.full(call.func) == "tensorflow.saved_model.save":
            return False
        owner = call.func.value
        name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
        made = [
            node.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        ]
        makers = ("Sequential", "Model", "load_model", "clone_model")
        return bool(re.search(r"(?i)model|net$", name)) or any(
            self.names.full(one.func).endswith(makers) for one in made
        )

    def _in_try(self, node: ast.AST) -> bool:
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.Try | ast.If):
                return True
        return False

    def _span(self, node: ast.expr | ast.stmt) -> tuple[tuple[int, int], tuple[int, int]]:
        return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)


def _root(node: ast.expr) -> ast.expr:
    """What a path that is put together begins with: os.path.join(A, ...), A + ..., A / ..., f"{A}/...", Path(A)."""
    while True:
        match node:
            case ast.Call(func=ast.Attribute(attr="join" | "abspath" | "expanduser"), args=[first, *_rest]):
                node = first
            case ast.Call(func=ast.Name(id="Path" | "str"), args=[first, *_rest]):
                node = first
            case ast.BinOp(left=left, op=ast.Add() | ast.Div()):
                node = left
            case ast.JoinedStr(values=[ast.FormattedValue(value=first), *_rest]):
                node = first
            case ast.JoinedStr(values=[first, *_rest]):
                node = first
            case _:
                return node


def _named(last: str, text: str) -> str:
    """The name of a model's file as Keras 3 wants it."""
    if last in ("save", "load_model", "save_model") and not re.search(r"\.\w+$", text):
        return text.rstrip("/\\") + ".keras"
    if last in ("save_weights", "load_weights") and not text.endswith(".weights.h5"):
        return re.sub(r"(?:\.(?:h5|hdf5|keras|ckpt))?$", ".weights.h5", text.rstrip("/\\"), count=1)
    return text


def _needs(name: str) -> str:
    said = _("the variable {name} is needed, and isn't copied: set it here before a run; a job has none of yours")
    return said.format(name=name)


_COLAB = {
    "drive.mount": _("put the files of your drive that it reads into data/"),
    "files.upload": _("put the files into data/"),
    "files.download": _("fetch brings what is saved"),
}
