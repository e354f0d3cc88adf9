"""Which calls read a file and which write one, and what a name in a program stands for."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

# Where a call has the path: its position, and its name as a keyword. By the last name of what is called.
WRITES: dict[str, tuple[int, str]] = {
    "save": (0, "filepath"), "save_weights": (0, "filepath"), "export": (0, "filepath"), "savefig": (0, "fname"),
    "to_csv": (0, "path_or_buf"), "to_json": (0, "path_or_buf"), "to_pickle": (0, "path"), "to_parquet": (0, "path"),
    "to_excel": (0, "excel_writer"), "to_feather": (0, "path"), "savetxt": (0, "fname"), "savez": (0, "file"),
    "savez_compressed": (0, "file"), "imwrite": (0, "uri"), "imsave": (0, "fname"), "save_img": (0, "path"),
    "plot_model": (1, "to_file"), "write_image": (0, "file"), "write_html": (0, "file"), "write_video": (0, ""),
    "ModelCheckpoint": (0, "filepath"), "TensorBoard": (0, "log_dir"), "CSVLogger": (0, "filename"),
    "BackupAndRestore": (0, "backup_dir"), "create_file_writer": (0, "logdir"), "CheckpointManager": (1, "directory"),
    "makedirs": (0, "name"), "mkdir": (0, "path"), "save_pretrained": (0, "save_directory"), "TFRecordWriter": (0, "path"),
    "FileHandler": (0, "filename"),
}  # fmt: skip
# The same by the full name, where the last one is another's, too.
WRITES_IN_FULL: dict[str, tuple[int, str]] = {
    "joblib.dump": (1, "filename"), "tensorflow.saved_model.save": (1, "export_dir"),
    "keras.models.save_model": (1, "filepath"), "keras.saving.save_model": (1, "filepath"),
}  # fmt: skip
READS: dict[str, tuple[int, str]] = {
    "load_model": (0, "filepath"), "load_weights": (0, "filepath"), "loadtxt": (0, "fname"), "genfromtxt": (0, "fname"),
    "fromfile": (0, "file"), "read_file": (0, "filename"), "imread": (0, "uri"), "load_img": (0, "path"),
    "image_dataset_from_directory": (0, "directory"), "text_dataset_from_directory": (0, "directory"),
    "audio_dataset_from_directory": (0, "directory"), "flow_from_directory": (0, "directory"),
    "TextLineDataset": (0, "filenames"), "TFRecordDataset": (0, "filenames"), "CsvDataset": (0, "filenames"),
    "make_csv_dataset": (0, "file_pattern"), "list_files": (0, "file_pattern"), "loadmat": (0, "file_name"),
    "listdir": (0, "path"), "scandir": (0, "path"), "isfile": (0, "path"), "isdir": (0, "s"), "chdir": (0, "path"),
    "ZipFile": (0, "file"), "latest_checkpoint": (0, "checkpoint_dir"),
}  # fmt: skip
READS_IN_FULL: dict[str, tuple[int, str]] = {
    "numpy.load": (0, "file"), "PIL.Image.open": (0, "fp"), "joblib.load": (0, "filename"), "os.walk": (0, "top"),
    "os.path.exists": (0, "path"), "os.path.getsize": (0, "filename"), "glob.glob": (0, "pathname"),
    "glob.iglob": (0, "pathname"), "tarfile.open": (0, "name"), "sqlite3.connect": (0, "database"),
    "tensorflow.saved_model.load": (0, "export_dir"), "pathlib.Path": (0, ""),
}  # fmt: skip
_OPENS = {"open", "io.open", "tensorflow.io.gfile.GFile", "gzip.open", "codecs.open", "h5py.File", "bz2.open"}
DATA, OUTPUT = "data", "output"


@dataclass
class Names:
    """What the names that a program imports stand for: `np` is numpy, `load_model` keras.models.load_model."""

    imported: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: ast.Module) -> Names:
        """The names of a program. `tf.keras` and `tensorflow.keras` are keras."""
        found = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.asname:
                        found[alias.asname] = alias.name
                    else:
                        found[alias.name.partition(".")[0]] = alias.name.partition(".")[0]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        return cls(found)

    def full(self, node: ast.expr) -> str:
        """The dotted name of an expression; what comes from a call or an index begins with a dot."""
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        top = self.imported.get(node.id, node.id) if isinstance(node, ast.Name) else ""
        name = ".".join([top, *reversed(parts)])
        return "keras" + name[len("tensorflow.keras") :] if name.startswith("tensorflow.keras") else name


def path_of(call: ast.Call, full: str) -> tuple[str, ast.expr] | None:
    """DATA or OUTPUT and the argument that names the file, for a call that reads or writes one; None for others."""
    last = full.rpartition(".")[2]
    if full in _OPENS:
        named, mode = _argument(call, 0, "name" if full.endswith("File") else "file"), _argument(call, 1, "mode")
        writes = isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) & set("wax")
        return None if named is None else (OUTPUT if writes else DATA, named)
    for kind, in_full, by_last in ((OUTPUT, WRITES_IN_FULL, WRITES), (DATA, READS_IN_FULL, READS)):
        where = in_full.get(full) or (by_last.get(last) if full not in READS_IN_FULL else None)
        if kind == DATA and where is None and full.startswith("pandas.read_") and full != "pandas.read_sql":
            where = (0, "filepath_or_buffer")
        if where is not None:
            named = _argument(call, *where)
            return None if named is None else (kind, named)
    return None


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if name and keyword.arg == name:
            return keyword.value
    if len(call.args) > position and not any(isinstance(one, ast.Starred) for one in call.args[: position + 1]):
        return call.args[position]
    return None
