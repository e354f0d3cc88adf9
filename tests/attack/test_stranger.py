"""The second user that the attacks here are made as is a second user."""

from pathlib import Path


def test_a_stranger_reads_what_all_may_read_and_nothing_else(stranger, tmp_path):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    for name, mode in (("open", 0o644), ("closed", 0o600)):
        path = Path(tmp_path, name)
        path.write_text(name, encoding="utf-8")
        path.chmod(mode)
    code = "import sys; print(open(sys.argv[1]).read())"
    assert stranger(code, tmp_path / "open").stdout == "open\n"
    assert "PermissionError" in stranger(code, tmp_path / "closed").stderr
