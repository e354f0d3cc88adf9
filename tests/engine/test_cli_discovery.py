"""Where the Pulumi CLI comes from. The programs are small scripts that say a version; the network is a closed port."""

import os
import re
import shutil
import signal
import stat
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from cloudkite.engine import cli, gobuild, release
from cloudkite.show.errors import BadValue, UserError
from cloudkite.workspace import CLONE
from clouds import company

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are shell scripts; run on POSIX")

OLD, NEW = "v3.100.0", "v3.300.1"


def program(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def go(folder, build="exit 1", version="go1.26.8"):
    """A stand-in for Go: lists two packages, and `build` is what it does when it builds ($output is the file)."""
    return program(
        folder / "go",
        f"""case "$1" in
env) echo {version};;
list) echo "go: downloading example.com/one v1.0.0" >&2; echo one; echo two;;
build) while [ "$1" != -o ]; do shift; done; output=$2; {build};;
esac""",
    )


BUILDS = f"""echo one >&2; echo two >&2; printf '#!/bin/sh\\necho v{cli.PINNED}\\n' > "$output"; chmod +x "$output" """


def test_a_release_is_fetched_by_the_persons_proxy_and_certificates(tmp_path, monkeypatch):
    """Also where only OpenSSL's variable names the authority: requests by itself does not know it."""
    with company.company(tmp_path) as theirs:
        for name, value in theirs.variables.items():
            monkeypatch.setenv(name, value)
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        assert "sparrow-1.0" in release._text(f"https://{company.HOST}/sparrow/")
        assert set(theirs.connected) == {f"{company.HOST}:443"}


def test_go_is_not_led_to_a_local_cloud(tmp_path, monkeypatch):
    (tmp_path / "ports.json").write_text("{}", encoding="utf-8")
    (tmp_path / "ca.pem").write_text("", encoding="utf-8")
    monkeypatch.setenv("GOPROXY", "https://modules.company")
    for name, value in {"HTTPS_PROXY": "http://127.0.0.1:1", "SSL_CERT_FILE": str(tmp_path / "ca.pem")}.items():
        monkeypatch.setenv(name, value)
    variables = gobuild._environment()
    assert not {"HTTPS_PROXY", "SSL_CERT_FILE"} & variables.keys()
    assert variables["GOPROXY"] == "https://modules.company"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with nothing installed and no network; gives the only folder on PATH."""
    path = tmp_path / "bin"
    path.mkdir()
    for tool in ("sh", "sleep", "chmod"):
        (path / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("CLOUDKITE_TOOLS", str(tmp_path / "tools"))
    monkeypatch.delenv("CLOUDKITE_PULUMI", raising=False)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # discard: nothing listens there
    return path


def have_installed():
    return program(cli.installed(), f"echo v{cli.PINNED}")


def test_new_enough_on_path_is_taken(machine):
    found = program(machine / "pulumi", f"echo {NEW}")
    assert cli.find() == cli.Cli(found, NEW[1:], "path")


def test_path_comes_before_the_installed_copy(machine):
    have_installed()
    program(machine / "pulumi", f"echo {NEW}")
    assert cli.find().source == "path"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (f"echo {OLD}", r"pulumi is 3\.100\.0; 3\.259\.0 or newer is needed"),
        ("echo v4.0.0", r"pulumi is 4\.0\.0; 3\.x is needed"),
        ("echo hello", "does not tell its version"),
        ("exit 1", "does not tell its version"),
        ("printf '\\377'", "can't be run"),
    ],
)
def test_unusable_on_path_is_named_and_passed_over(machine, body, said):
    program(machine / "pulumi", body)
    go(machine, BUILDS)
    lines = []
    assert cli.find(lines.append) == cli.Cli(cli.installed(), cli.PINNED, "go")
    assert re.search(said, lines[0])
    assert str(machine / "pulumi") in lines[0]
    # Once there is a copy, the old program is not worth a word in every run.
    told = len(lines)
    assert cli.find(lines.append) == cli.Cli(cli.installed(), cli.PINNED, "installed")
    assert len(lines) == told


def test_a_file_that_is_not_executable_is_no_program(machine):
    (machine / "pulumi").write_text("#!/bin/sh\necho v3.300.0\n", encoding="utf-8")
    go(machine, BUILDS)
    lines = []
    assert cli.find(lines.append).source == "go"
    assert lines[0] == "pulumi isn't on PATH"


def test_no_way_at_all_names_every_way(machine):
    with pytest.raises(UserError) as refused:
        cli.find()
    assert refused.value.code == 1
    assert refused.value.message == (
        "the Pulumi CLI is needed and could not be found or installed: pulumi isn't on PATH; the official installer "
        "can't be reached (ProxyError); Go, which would build it, isn't on PATH"
    )
    assert "https://www.pulumi.com/docs/install" in refused.value.hint
    assert "Go 1.26 or newer" in refused.value.hint
    assert "CLOUDKITE_PULUMI=PATH" in refused.value.hint


@pytest.mark.parametrize(
    ("version", "said"),
    [("go1.25.9", "is 1.25.9; Go 1.26 or newer builds it"), ("nonsense", "Go 1.26 or newer builds it")],
)
def test_go_that_is_too_old(machine, version, said):
    go(machine, BUILDS, version)
    with pytest.raises(UserError, match=said):
        cli.find()


def test_go_builds_where_the_installer_cannot_be_reached(machine):
    go(machine, BUILDS)
    lines = []
    assert cli.find(lines.append) == cli.Cli(cli.installed(), cli.PINNED, "go")
    assert "the official installer can't be reached (ProxyError)" in lines
    assert f"building the Pulumi CLI {cli.PINNED} from its Go modules: about 3 minutes, once" in lines
    assert any(re.fullmatch(r"Pulumi CLI: 1 of at most \d+ modules downloaded", line) for line in lines)
    assert "Pulumi CLI: 1 of at most 2 packages compiled" in lines
    assert cli.find().source == "installed"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        ("echo 'lookup modules.example.com: no such host' >&2; exit 1", "no such host"),
        ("""printf '#!/bin/sh\\necho v3.1.0\\n' > "$output"; chmod +x "$output" """, r"is 3\.1\.0"),
        ("exit 0", "can't be run"),
    ],
)
def test_a_build_that_fails_leaves_nothing(machine, build, said):
    go(machine, build)
    with pytest.raises(UserError, match=said):
        cli.find()
    assert [p.name for p in cli.tools().iterdir()] == ["install.lock"]


def test_two_at_once_build_once(machine, tmp_path):
    go(machine, f"""echo built >> {tmp_path}/builds; sleep 0.5; {BUILDS}""")
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _n: cli.find(), range(2)))
    assert {f.path for f in found} == {cli.installed()}
    assert (tmp_path / "builds").read_text(encoding="utf-8") == "built\n"


def test_an_interruption_ends_the_compiler_and_leaves_nothing(machine, tmp_path):
    go(machine, f"echo $$ > {tmp_path}/pid; sleep 60")

    def interrupt():
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text(encoding="utf-8"):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        cli.find()
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text(encoding="utf-8")))
    assert [p.name for p in cli.tools().iterdir()] == ["install.lock"]


def test_what_a_killed_build_left_is_cleared(machine):
    torn = cli.tools() / ".new-torn" / "bin"
    torn.mkdir(parents=True)
    go(machine, BUILDS)
    assert cli.find().source == "go"
    assert not torn.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere/pulumi", "which isn't a file"),
        ("bin", "which isn't a file"),
        ("bin/old", r"old is 3\.100\.0; 3\.259\.0 or newer is needed"),
        ("bin/plain", "can't be run"),
    ],
)
def test_a_given_program_that_cannot_be_used_is_refused(machine, tmp_path, monkeypatch, given, said):
    program(machine / "old", f"echo {OLD}")
    (machine / "plain").write_text("no program", encoding="utf-8")
    have_installed()  # it is not used instead: the person asked for another
    monkeypatch.setenv("CLOUDKITE_PULUMI", str(tmp_path / given))
    with pytest.raises(BadValue, match=said) as refused:
        cli.find()
    assert refused.value.code == 2
    assert str(tmp_path / given) in refused.value.message
    assert "`installer` or `go`" in refused.value.hint


def test_a_given_program_is_taken(machine, monkeypatch):
    program(machine / "pulumi", f"echo {NEW}")
    given = program(machine / "mine", f"echo v{cli.PINNED}-dev.1")
    monkeypatch.setenv("CLOUDKITE_PULUMI", str(given))
    assert cli.find() == cli.Cli(given, cli.PINNED, "given")


def test_a_given_way_is_the_only_one_tried(machine, monkeypatch):
    program(machine / "pulumi", f"echo {NEW}")
    monkeypatch.setenv("CLOUDKITE_PULUMI", "go")
    with pytest.raises(UserError) as refused:
        cli.find()
    assert refused.value.message.endswith("could not be found or installed: Go, which would build it, isn't on PATH")
    go(machine, BUILDS)
    assert cli.find().source == "go"
    monkeypatch.setenv("CLOUDKITE_PULUMI", "installer")
    assert cli.find().source == "installed"


def test_the_module_pins_the_same_version_and_names_no_registry():
    module = (CLONE / "infra" / "cli" / "go.mod").read_text(encoding="utf-8")
    sums = (CLONE / "infra" / "cli" / "go.sum").read_text(encoding="utf-8")
    assert f"github.com/pulumi/pulumi/pkg/v3 v{cli.PINNED}" in module
    assert "tool github.com/pulumi/pulumi/pkg/v3/cmd/pulumi" in module
    assert "replace" not in module
    assert "proxy." not in module + sums


@pytest.mark.slow
def test_the_real_program_is_found_and_says_its_version(pulumi):
    said = subprocess.run([pulumi.path, "version"], capture_output=True, text=True, encoding="utf-8", check=True)
    assert said.stdout.strip() == f"v{pulumi.version}"
