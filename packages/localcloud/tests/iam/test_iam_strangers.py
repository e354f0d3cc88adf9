"""Another user of this machine reaches the ports of a local cloud, and gets nothing through them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

NOBODY = 65534  # the user and group that own nothing

# Imports first: afterwards its own Python may be in a folder that this user can't read.
SCRIPT = (
    """
import http.client, json, os, ssl, sys
import encodings.idna, grpc, grpc._channel
root, ports = sys.argv[1], json.loads(sys.argv[2])
os.setgroups([]); os.setgid(NOBODY); os.setuid(NOBODY)
told = {}

def ask(connection, method, path, headers):
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
    except (ConnectionError, ssl.SSLError, http.client.HTTPException):
        return [0, ""]
    body = answer.read().decode()
    connection.close()
    return [answer.status, body]

for name in ("", "control-token", "signing-key.pem", "projects/test-project/key.json", "iam/iam.sqlite"):
    try:
        path = os.path.join(root, name)
        os.listdir(path) if not name else open(path, "rb").read()
        told["read " + name] = "could"
    except PermissionError:
        told["read " + name] = "denied"
blind = ssl.create_default_context()
blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
token = "/computeMetadata/v1/instance/service-accounts/default/token"
flavor = {"Metadata-Flavor": "Google"}
for guess in ("", "/guessed-secret"):
    metadata = http.client.HTTPConnection("127.0.0.1", ports["metadata"])
    told["metadata" + guess] = ask(metadata, "GET", guess + token, flavor)
for shown in ({}, {"Authorization": "Bearer guessed"}):
    control = http.client.HTTPSConnection("127.0.0.1", ports["https"], context=blind)
    told[f"control {len(shown)}"] = ask(control, "GET", "/status", shown)
    through = http.client.HTTPSConnection("127.0.0.1", ports["proxy"], context=blind)
    through.set_tunnel("cloudresourcemanager.googleapis.com", 443)
    told[f"proxy {len(shown)}"] = ask(through, "GET", "/v1/projects", shown)
with grpc.insecure_channel(f"127.0.0.1:{ports['provider']}") as channel:
    for method in ("Configure", "Invoke"):
        call = channel.unary_unary(f"/pulumirpc.ResourceProvider/{method}")
        try:
            call(b"", timeout=30)
            told["provider " + method] = "could"
        except grpc.RpcError as error:
            told["provider " + method] = error.details()
print(json.dumps(told))
""".replace("NOBODY", str(NOBODY))
    .replace("{", "{")
    .replace("}", "}")
)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_gets_nothing(local_cloud):
    ports = {name: local_cloud.server[name] for name in ("proxy", "https", "grpc", "provider", "metadata")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(local_cloud.root), json.dumps(ports)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {told[name] for name in told if name.startswith("read ")} == {"denied"}
    for name in ("metadata", "metadata/guessed-secret"):
        assert told[name] == [0, ""]  # another user's connection is ended without a word
    for name in ("control 0", "control 1", "proxy 0", "proxy 1"):
        status, body = told[name]
        assert status == 401
        assert json.loads(body)["error"]["status"] == "UNAUTHENTICATED"
    for name in ("provider Configure", "provider Invoke"):
        assert told[name].startswith("failed to connect")


def test_the_folder_is_for_its_owner_only(local_cloud):
    kept = [local_cloud.root, *(local_cloud.root / name for name in ("control-token", "signing-key.pem", "iam"))]
    assert [oct(path.stat().st_mode & 0o077) for path in kept] == ["0o0"] * len(kept)
