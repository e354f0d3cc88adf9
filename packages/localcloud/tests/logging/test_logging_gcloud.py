"""gcloud logging as a person uses it: write, read, tail, and what it says when a filter can't be read."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import uuid

import pytest

from clouds import LocalCloud

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed: https://cloud.google.com/sdk"),
]


def environment(cloud: LocalCloud) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    return {**kept, **cloud.environment}


def gcloud(cloud: LocalCloud, *words: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("gcloud") or "gcloud", "logging", *words]
    return subprocess.run(
        command, env=environment(cloud), capture_output=True, text=True, encoding="utf-8", timeout=120
    )


def test_write_and_read(local_cloud: LocalCloud) -> None:
    log = f"gcloud-{uuid.uuid4().hex[:8]}"
    assert gcloud(local_cloud, "write", log, "hello there", "--severity=WARNING").stderr == "Created log entry.\n"
    made = gcloud(local_cloud, "write", log, '{"message": "structured"}', "--payload-type=json")
    assert made.returncode == 0, made.stderr
    shape = "--format=csv[no-heading](severity,textPayload,jsonPayload.message)"
    read = gcloud(local_cloud, "read", f"log_id({log})", shape, "--order=asc")
    assert read.stdout.splitlines() == ["WARNING,hello there,", ",,structured"]
    assert gcloud(local_cloud, "read", f"log_id({log}) severity>=ERROR", shape).stdout == ""
    refused = gcloud(local_cloud, "read", "timestamp>=2026-01-01T00:00:00Z")
    assert refused.returncode == 1
    assert refused.stderr.strip() == (
        "ERROR: (gcloud.logging.read) INVALID_ARGUMENT: Unparseable filter: syntax error at line 1, column 25, "
        "token ':00:00Z'"
    )
    assert f"projects/test-project/logs/{log}" in gcloud(local_cloud, "logs", "list").stdout


def _write_until(cloud: LocalCloud, log: str, heard: threading.Event) -> None:
    """Write again and again: when the session has begun, nobody tells."""
    entries = [{"textPayload": "tailed"}]
    body = {"logName": f"projects/{cloud.project}/logs/{log}", "resource": {"type": "global"}, "entries": entries}
    with cloud.session(self_signed=True) as session:
        while not heard.wait(0.2):
            session.post("https://logging.googleapis.com/v2/entries:write", json=body)


def test_tail(local_cloud: LocalCloud) -> None:
    log = f"gcloud-{uuid.uuid4().hex[:8]}"
    command = [shutil.which("gcloud") or "gcloud", "alpha", "logging", "tail", f"log_id({log})", "--buffer-window=0s"]
    tail = subprocess.Popen(
        [*command, "--format=value(text_payload)"],
        env=environment(local_cloud) | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        assert tail.stderr is not None and tail.stdout is not None
        while "Initializing tail session." not in (line := tail.stderr.readline()):
            if "Missing" in line or not line:
                pytest.skip(f"this gcloud can't tail: {line or 'it ended'}")
        heard = threading.Event()
        writer = threading.Thread(target=_write_until, args=(local_cloud, log, heard))
        writer.start()
        try:
            assert tail.stdout.readline() == "tailed\n"
        finally:
            heard.set()
            writer.join()
    finally:
        os.killpg(tail.pid, signal.SIGKILL)  # gcloud is a script around a Python
        tail.wait()
        for pipe in (tail.stdout, tail.stderr):
            if pipe is not None:
                pipe.close()
