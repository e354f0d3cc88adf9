"""The start-up text, run as a job runs it, against a small server that stands for Cloud Storage and the metadata."""

import hashlib
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from cloudkite.jobs import body, bootstrap

URI = "gs://staging/some folder/trainer.whl"
TASK = """
import sys
from trainer import words
print("argv", sys.argv[1:])
print("name", __name__, "from", words.SAID)
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("storage.googleapis.com").configure_cert(context)
    return SimpleNamespace(path=path, context=context)


@pytest.fixture
def cloud(authority, tmp_path):
    """A proxy that answers for storage.googleapis.com with `answers`, in turn, and for the metadata server."""
    state = SimpleNamespace(answers=[], asked=[], port=0, ca=authority.path, scratch=tmp_path / "scratch")
    state.scratch.mkdir()

    class Storage(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append((self.path, self.headers.get("Authorization")))
            code, data = state.answers.pop(0)
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    class Front(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self):
            assert self.path == "storage.googleapis.com:443"
            self.send_response(200)
            self.end_headers()
            with authority.context.wrap_socket(self.connection, server_side=True) as inner:
                Storage(inner, self.client_address, self.server)
            self.close_connection = True

        def do_GET(self):
            assert self.path == "/computeMetadata/v1/instance/service-accounts/default/token"
            assert self.headers["Metadata-Flavor"] == "Google"
            data = json.dumps({"access_token": "t0ken", "expires_in": 3600}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            pass  # a client that is done may close without TLS's last words

    with Server(("127.0.0.1", 0), Front) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield state
        server.shutdown()
        thread.join()
    assert list(state.scratch.iterdir()) == []  # however a job ended, it left nothing behind


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    path = tmp_path_factory.mktemp("wheel") / "trainer-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trainer/__init__.py", "")
        archive.writestr("trainer/words.py", "SAID = 'the wheel'\n")
        archive.writestr("trainer/task.py", TASK)
    return path.read_bytes()


def run(cloud, sha256, pins=(), arguments=(), **environment):
    command = [sys.executable, "-c", body.bootstrap(), URI, sha256, json.dumps(list(pins)), "--", *arguments]
    proxy = f"http://127.0.0.1:{cloud.port}"
    env = {
        "PATH": os.environ["PATH"], "GCE_METADATA_HOST": f"127.0.0.1:{cloud.port}", "https_proxy": proxy,
        "SSL_CERT_FILE": str(cloud.ca), "PYTHONUTF8": "1", "SYSTEMROOT": os.environ.get("SYSTEMROOT", ""),
        "TMPDIR": str(cloud.scratch), "TEMP": str(cloud.scratch), **environment,
    }  # fmt: skip
    return subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8", timeout=60)


def packed(path, task):
    """A wheel whose trainer is one file."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trainer/__init__.py", "")
        archive.writestr("trainer/task.py", task)
    return path.read_bytes()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_it_runs_the_trainer_out_of_the_wheel(cloud, wheel):
    cloud.answers = [(200, wheel)]
    done = run(cloud, digest(wheel), arguments=["--epochs", "3", "--data", "gs://a/b c", ""])
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "argv ['--epochs', '3', '--data', 'gs://a/b c', '']",
        "name __main__ from the wheel",
    ]
    assert done.returncode == 0
    assert cloud.asked == [("/storage/v1/b/staging/o/some%20folder%2Ftrainer.whl?alt=media", "Bearer t0ken")]


def test_a_try_of_a_tuning_job_knows_where_its_metrics_go(cloud, tmp_path):
    wheel = packed(tmp_path / "a.whl", "import os; print(os.environ.get('CLOUD_ML_HP_METRIC_FILE'))")
    for told, place in (({}, "None"), ({"CLOUD_ML_TRIAL_ID": "1"}, bootstrap.METRICS),
                        ({"CLOUD_ML_TRIAL_ID": "1", "CLOUD_ML_HP_METRIC_FILE": "/a/b"}, "/a/b")):  # fmt: skip
        cloud.answers = [(200, wheel)]
        assert run(cloud, digest(wheel), **told).stdout == f"{place}\n"


def test_a_passing_failure_is_tried_again(cloud, wheel):
    cloud.answers = [(503, b"later"), (200, wheel)]
    assert run(cloud, digest(wheel)).returncode == 0


def test_a_changed_wheel_is_refused(cloud, wheel):
    cloud.answers = [(200, wheel + b"x")]
    done = run(cloud, digest(wheel))
    assert done.returncode == 1
    assert f"{URI} has SHA-256 {digest(wheel + b'x')}, not {digest(wheel)}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("code, said", [(403, "does not have storage.objects.get access"), (404, "No such object")])
def test_a_refusal_is_told_and_not_repeated(cloud, wheel, code, said):
    cloud.answers = [(code, f"trainer@x {said}".encode())]
    done = run(cloud, digest(wheel))
    assert done.returncode == 1
    assert done.stderr.strip() == f"cloudkite: {URI} can't be read: HTTP {code}: trainer@x {said}"
    assert cloud.answers == []


def test_pins_that_the_image_has_need_no_pip(cloud, wheel):
    cloud.answers = [(200, wheel)]
    done = run(cloud, digest(wheel), pins=["trustme==1.2.1", "Invoke==3.0.3"])
    assert "installing" not in done.stdout
    assert done.returncode == 0


def test_pins_that_can_not_be_had_end_the_job(cloud, wheel):
    cloud.answers = [(200, wheel)]
    done = run(cloud, digest(wheel), pins=["trustme==0.0.0"], PIP_NO_INDEX="1")
    assert "cloudkite: installing trustme==0.0.0, which the image lacks" in done.stdout
    assert "cloudkite: trustme==0.0.0 can't be installed" in done.stderr
    assert done.returncode == 1


def test_a_gpu_job_without_a_gpu_ends_at_once(cloud, tmp_path):
    fake = "class config:\n    list_physical_devices = staticmethod(lambda kind: ['one'])\n"
    (tmp_path / "tensorflow.py").write_text(fake, encoding="utf-8")
    data = packed(tmp_path / "w.whl", "print('trained')")
    cloud.answers = [(200, data), (200, data)]
    done = run(cloud, digest(data), PYTHONPATH=str(tmp_path), CLOUDKITE_GPUS="2")
    assert done.stderr.strip() == "cloudkite: TensorFlow sees 1 of 2 GPUs; nothing was trained"
    assert done.returncode == 1
    assert run(cloud, digest(data), PYTHONPATH=str(tmp_path), CLOUDKITE_GPUS="1").stdout == "trained\n"


def test_a_gpu_job_without_tensorflow_says_so(cloud, wheel):
    cloud.answers = [(200, wheel)]
    done = run(cloud, digest(wheel), CLOUDKITE_GPUS="1")
    assert "a GPU job needs TensorFlow, and neither image nor trainer brings it" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


def test_the_trainers_own_exit_code_is_kept(cloud, tmp_path):
    data = packed(tmp_path / "w.whl", "raise SystemExit(143)")
    cloud.answers = [(200, data)]
    assert run(cloud, digest(data)).returncode == 143


@pytest.mark.parametrize(
    "pins, lacking",
    [
        ([], []),
        (["invoke==3.0.3"], []),
        (["invoke==9.9.9"], ["invoke==9.9.9"]),
        (["nothing-of-the-kind==1"], ["nothing-of-the-kind==1"]),
        (["requests[socks]==2.34.2"], []),
    ],
)
def test_what_the_image_lacks(pins, lacking):
    assert bootstrap.missing(pins) == lacking


@pytest.mark.parametrize(
    "installed, pin, lacks",
    [
        ("tensorflow", "tensorflow-cpu==2.21.0", False),
        ("tensorflow-cpu", "tensorflow==2.21.0", False),
        ("tensorflow-cpu", "tensorflow==2.20.0", True),
        ("tensorflow-cpu", "tensorflow[and-cuda]==2.21.0", True),
        ("tensorflow", "tensorflow[and-cuda]==2.21.0", False),
    ],
)
def test_tensorflow_has_two_names(monkeypatch, tmp_path, installed, pin, lacks):
    info = tmp_path / f"{installed.replace('-', '_')}-2.21.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {installed}\nVersion: 2.21.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert bootstrap.missing([pin]) == ([pin] if lacks else [])


def test_the_text_needs_nothing_but_the_standard_library():
    import ast

    tree = ast.parse(body.bootstrap(), feature_version=(3, 10))
    names = {a.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    assert names <= set(sys.stdlib_module_names)
    assert len(Path(bootstrap.__file__).read_text(encoding="utf-8")) < 6000
