"""Which models can't be uploaded.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.models/upload
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.vertex.jobs.validation import REQUIRED, Violation, found, refuse, texts, variables, with_nul
from localcloud.vertex.serving.artifacts import is_path

Body = Mapping[str, Any]

_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9-]")
_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
_NOT_EMULATED = {
    "explanationSpec": "explanations of predictions",
    "encryptionSpec": "encryption with keys of your own (encryption_spec)",
    "baseModelSource": "models made from others",
}
_CONTAINER_NOT_EMULATED = {
    "grpcPorts": "model servers that speak gRPC",
    "startupProbe": "startup probes of one's own",
    "healthProbe": "health probes of one's own",
    "livenessProbe": "liveness probes of one's own",
    "invokeRoutePrefix": "routes of one's own (invoke_route_prefix)",
}


def check_upload(request: Body) -> None:
    """Raises 400 with all that is wrong with an UploadModelRequest, 501 for what is not here."""
    model = request.get("model", {})
    refuse(_violations(request, model))
    for field, what in _NOT_EMULATED.items():
        if model.get(field):
            raise NotEmulated(what)
    for field, what in _CONTAINER_NOT_EMULATED.items():
        if model["containerSpec"].get(field):
            raise NotEmulated(what)


def _violations(request: Body, model: Body) -> Iterator[Violation]:
    yield from texts(model, "model.")
    container = model.get("containerSpec", {})
    if not container.get("imageUri"):
        yield Violation("model.container_spec.image_uri", REQUIRED)
    artifacts = model.get("artifactUri", "")
    if artifacts and not is_path(artifacts):
        words = f"The Google Cloud Storage path `{artifacts}` must start with `gs://` and name a bucket."
        yield Violation("model.artifact_uri", words)
    for route in ("predictRoute", "healthRoute"):
        if container.get(route) and not container[route].startswith("/"):
            name = re.sub(r"(?=[A-Z])", "_", route).lower()
            yield Violation(f"model.container_spec.{name}", "The route must start with `/`.")
    for number, port in enumerate(container.get("ports", [])):
        if not 1 <= int(port.get("containerPort", 0)) <= 65_535:
            yield Violation(f"model.container_spec.ports[{number}].container_port", "The port must be 1 to 65535.")
    yield from variables("model.container_spec.env", container.get("env", []))
    yield from with_nul("model.container_spec", container)
    if model_id := request.get("modelId", ""):
        if request.get("parentModel"):
            yield Violation("model_id", "`model_id` can't be set when `parent_model` is.")
        elif not _ID.fullmatch(model_id):
            words = "must be up to 63 characters of `[a-z0-9_-]`, of which the first is no digit and no hyphen."
            yield Violation("model_id", f"The model ID `{model_id}` {words}")
    for alias in model.get("versionAliases", []):
        if not _ALIAS.fullmatch(alias):
            yield Violation("model.version_aliases", _bad_alias(alias))


def check_aliases(aliases: Sequence[str]) -> None:
    """Raises 400 for aliases to add, or with a hyphen before them to remove, that can't be."""
    for alias in aliases:
        if alias == "-default":
            raise ApiError(400, "The `default` alias can't be removed; it moves when another version gets it.")
        if not _ALIAS.fullmatch(alias.removeprefix("-")):
            raise found([Violation("version_aliases", _bad_alias(alias))])


def _bad_alias(alias: str) -> str:
    return f"The version alias `{alias}` must match `[a-z][a-zA-Z0-9-]{{0,126}}[a-z0-9-]`."
