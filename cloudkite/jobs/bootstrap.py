"""What a job runs first: fetch the trainer's wheel, check it, add what the image lacks, run the trainer.

This file's own text is sent with each job (`python -c TEXT WHEEL SHA256 PINS -- ARGUMENTS`), so it uses the standard
library of Python 3.10 alone and nothing of Cloudkite's. Every way to fail here ends with exit code 1, which the service
does not try again (https://cloud.google.com/vertex-ai/docs/training/understanding-training-service).
"""

import contextlib
import hashlib
import http.client
import importlib
import importlib.metadata
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

TRIES = 4
PASSING = (401, 408, 429)  # 401: the token ended on its way, and each try asks for a new one
LONGEST = 60  # seconds that a Retry-After may ask for
TENSORFLOW = {"tensorflow", "tensorflow-cpu"}  # the same code; the image may have either
# Where the tuning service looks for metrics unless it says so itself: cloudml-hypertune 0.1 writes there.
METRICS = "/tmp/hypertune/output.metrics"  # noqa: S108


def token() -> str:
    """An access token of the job's service account."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token"
    request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy stands before it
    with direct.open(request, timeout=30) as answer:
        return json.load(answer)["access_token"]


def download(uri: str) -> bytes:
    """The object gs://bucket/name; passing failures are tried again for some seconds."""
    bucket, name = uri.removeprefix("gs://").split("/", 1)
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media"
    for attempt in range(1, TRIES + 1):
        try:
            request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token()}"})
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.read()
        except urllib.error.HTTPError as error:
            with error:
                if attempt == TRIES or (error.code < 500 and error.code not in PASSING):
                    said = error.read().decode("utf-8", "replace")[:500]
                    sys.exit(f"cloudkite: {uri} can't be read: HTTP {error.code}: {said}")
                wait = error.headers.get("Retry-After", "")
        except (OSError, http.client.HTTPException, ValueError) as error:  # lost, or cut in the middle
            if attempt == TRIES:
                sys.exit(f"cloudkite: {uri} can't be read: {error or type(error).__name__}")
            wait = ""
        time.sleep(max(2 ** (attempt - 1), min(int(wait) if wait.isdecimal() else 0, LONGEST)))
    raise AssertionError


def missing(pins: list[str]) -> list[str]:
    """The pins (`name==version`) that the image does not have at just that version."""
    lacking = []
    for pin in pins:
        name, _, version = pin.partition("==")
        # tensorflow[and-cuda] needs the libraries of its extra, which the CPU package never brings.
        names = TENSORFLOW if name in TENSORFLOW else {name.partition("[")[0]}
        found = set()
        for each in names:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                found.add(importlib.metadata.version(each))
        if version not in found:
            lacking.append(pin)
    return lacking


def require_gpus(count: int) -> None:
    """A paid GPU must not idle while the CPU trains."""
    try:
        tensorflow = importlib.import_module("tensorflow")
    except ImportError as error:
        sys.exit(f"cloudkite: a GPU job needs TensorFlow, and neither image nor trainer brings it: {error}")
    seen = len(tensorflow.config.list_physical_devices("GPU"))
    if seen < count:
        sys.exit(f"cloudkite: TensorFlow sees {seen} of {count} GPUs; nothing was trained")


def main(wheel: str, sha256: str, pins: list[str], arguments: list[str]) -> None:
    """Run the trainer in `wheel` (a gs:// address) with `arguments`."""
    data = download(wheel)
    got = hashlib.sha256(data).hexdigest()
    if got != sha256:
        sys.exit(f"cloudkite: {wheel} has SHA-256 {got}, not {sha256}; it was changed after it was staged")
    lacking = missing(pins)
    if lacking:
        print(f"cloudkite: installing {', '.join(lacking)}, which the image lacks", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        if subprocess.call([*pip, *lacking]) != 0:
            sys.exit(f"cloudkite: {', '.join(lacking)} can't be installed")
        importlib.invalidate_caches()
    if "CLOUD_ML_TRIAL_ID" in os.environ:
        os.environ.setdefault("CLOUD_ML_HP_METRIC_FILE", METRICS)
    if "CLOUDKITE_GPUS" in os.environ:
        require_gpus(int(os.environ["CLOUDKITE_GPUS"]))
    with tempfile.TemporaryDirectory(prefix="cloudkite-") as folder:
        path = Path(folder, "trainer.whl")
        path.write_bytes(data)
        sys.path.insert(0, str(path))
        sys.argv = ["trainer.task", *arguments]
        runpy.run_module("trainer.task", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[5:])
