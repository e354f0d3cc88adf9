"""The environment variables that make any Google client on this machine a client of a local cloud."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from localcloud.core.ports import Ports

JAVA_PASSWORD = "local-cloud"  # noqa: S105  of ca.p12, which holds no secret: it is Java's word for a checksum
SHELLS = ("bash", "fish", "powershell", "cmd")


def client_environment(root: Path, ports: Ports, project: str) -> dict[str, str]:
    """Variables for child processes only: with them a process reaches Google's hosts here, and no other host at all."""
    proxy, own = f"http://127.0.0.1:{ports.proxy}", "localhost,127.0.0.1"
    bundle, folder = str(root / "ca.pem"), root / "projects" / project
    key = str(folder / "key.json")
    return {
        # gRPC reads only the lower case.
        "https_proxy": proxy,
        "HTTPS_PROXY": proxy,
        # Clients that ask for metadata.google.internal (Logging's, for each entry) are refused at once; without this
        # they wait for a name server's answer, 5 seconds each time on some networks.
        "http_proxy": proxy,
        "HTTP_PROXY": proxy,
        # Without 127.0.0.1 workers of one job talk to each other through the proxy, and hang.
        "no_proxy": own,
        "NO_PROXY": own,
        "GOOGLE_APPLICATION_CREDENTIALS": key,
        "GOOGLE_CLOUD_PROJECT": project,
        "REQUESTS_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": bundle,
        "METADATA_SERVER_DETECTION": "none",  # Node's: it would look for a metadata server and wait
        "JAVA_TOOL_OPTIONS": _java(root, ports),
        "CURL_CA_BUNDLE": bundle,  # TensorFlow
        "SSL_CERT_FILE": bundle,
        "HTTPLIB2_CA_CERTS": bundle,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": bundle,
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": key,
        "CLOUDSDK_CORE_PROJECT": project,
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": bundle,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "BOTO_CONFIG": str(folder / "boto.cfg"),  # gsutil looks at nothing else for who calls
        "FSSPEC_GS": '{"session_kwargs":{"trust_env":true}}',
        "FSSPEC_GCS": '{"session_kwargs":{"trust_env":true}}',
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        "NO_GCE_CHECK": "true",
        "GCS_READ_CACHE_BLOCK_SIZE_MB": "4",  # TensorFlow: a small read takes 4 ms, not 40
        "GCS_STAT_CACHE_MAX_AGE": "0",  # or TensorFlow reads an object that was written again only in part
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def _java(root: Path, ports: Ports) -> str:
    """Options for every Java program: it reads no proxy and no certificate from anywhere else."""
    host, port = "127.0.0.1", ports.proxy
    options = {
        "https.proxyHost": host, "https.proxyPort": port, "http.proxyHost": host, "http.proxyPort": port,
        "http.nonProxyHosts": "localhost|127.0.0.1",
        "javax.net.ssl.trustStore": root / "ca.p12", "javax.net.ssl.trustStoreType": "PKCS12",
        "javax.net.ssl.trustStorePassword": JAVA_PASSWORD,
    }  # fmt: skip
    return " ".join(
        f'"-D{name}={value}"' if " " in f"{value}" else f"-D{name}={value}" for name, value in options.items()
    )


def boto_configuration(key: Path, bundle: Path, project: str, state: Path) -> str:
    """What BOTO_CONFIG names: gsutil as the account of `key`, with its cache of tokens in `state` and not at home.

    https://cloud.google.com/storage/docs/boto-gsutil
    """
    # gsutil tries any 5xx again, also 501: by its own default of 23 times for a quarter of an hour.
    sections = {
        "Credentials": {"gs_service_key_file": key},
        "Boto": {"https_validate_certificates": "True", "ca_certificates_file": bundle, "num_retries": 3},
        "GSUtil": {"default_project_id": project, "state_dir": state, "software_update_check_period": "0"},
    }
    return "".join(
        f"[{section}]\n" + "".join(f"{name} = {str(value).replace('%', '%%')}\n" for name, value in options.items())
        for section, options in sections.items()
    )


def export_lines(environment: Mapping[str, str], shell: str = "bash") -> str:
    """Lines that set the variables in a shell: for `eval "$(...)"` and the like. Raises KeyError for another shell."""
    write = {
        "bash": lambda name, value: f"export {name}={shlex.quote(value)}",
        "fish": lambda name, value: f"set -gx {name} {shlex.quote(value)};",
        "powershell": lambda name, value: f"$Env:{name} = '" + value.replace("'", "''") + "'",
        "cmd": lambda name, value: f'set "{name}={value}"',
    }[shell]
    return "\n".join(write(name, value) for name, value in environment.items())
