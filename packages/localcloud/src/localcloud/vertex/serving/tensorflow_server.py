"""Serves a SavedModel over HTTP as TensorFlow Serving does; run by the Python that stands in for a prebuilt image.

Only the standard library, NumPy and TensorFlow. Who doesn't show the secret that this process was given is refused: any
user of this machine can reach its port, and the model is for callers of its endpoint. The REST API and its words:
https://www.tensorflow.org/tfx/serving/api_rest and tensorflow_serving/util/json_tensor.cc
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "LOCALCLOUD_FRONT_SECRET"  # noqa: S105 (the name of the environment variable)
HEADER = "X-Localcloud-Front"
_PATIENCE = 75.0  # seconds for a request to arrive


class Refused(Exception):
    """What TensorFlow Serving would say."""


class Model:
    """The signatures of a SavedModel."""

    def __init__(self, folder: str) -> None:
        import tensorflow  # type: ignore[import-not-found]

        self._tensorflow = tensorflow
        self._loaded = tensorflow.saved_model.load(folder)
        if "serving_default" not in self._loaded.signatures:
            raise SystemExit('The SavedModel has no signature "serving_default".')

    def predict(self, request: Any) -> dict[str, Any]:
        """Answer {"instances": [...]} row by row, or {"inputs": ...} by column. Raises Refused."""
        if not isinstance(request, dict):
            raise Refused("Request body is not a JSON object")
        name = request.get("signature_name", "serving_default")
        if name not in self._loaded.signatures:
            raise Refused(f'Serving signature name: "{name}" not found in signature def')
        signature = self._loaded.signatures[name]
        specs = signature.structured_input_signature[1]
        if "instances" in request and "inputs" in request:
            raise Refused("Request has both 'instances' and 'inputs' keys")
        if "instances" in request:
            values, rows = self._rows(request["instances"], specs), len(request["instances"])
        elif "inputs" in request:
            values, rows = self._columns(request["inputs"], specs), None
        else:
            raise Refused("Missing 'inputs' or 'instances' key")
        tensors = {key: self._tensor(key, value, specs[key], rows is not None) for key, value in values.items()}
        try:
            outputs = signature(**tensors)
        except self._tensorflow.errors.OpError as error:
            raise Refused(str(error.message)) from None
        except (TypeError, ValueError) as error:
            raise Refused(str(error)) from None
        told = {key: tensor.numpy() for key, tensor in outputs.items()}
        return {"predictions": _by_row(told, rows)} if rows is not None else {"outputs": _by_column(told)}

    def _rows(self, instances: Any, specs: dict[str, Any]) -> dict[str, list[Any]]:
        if not isinstance(instances, list):
            raise Refused("Expecting 'instances' value to be an array")
        if not instances:
            raise Refused("Value for 'instances' is an empty list")
        named = isinstance(instances[0], dict) and not _is_bytes(instances[0])
        if not named and len(specs) != 1:
            raise Refused(
                "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                "tensorinfo_map"
            )
        if not named:
            [key] = specs
            for number, one in enumerate(instances):
                if isinstance(one, dict) and not _is_bytes(one):
                    raise Refused(f"Expecting value/list but got an object at element {number} of 'instances' list")
            return {key: instances}
        for number, one in enumerate(instances):
            if not isinstance(one, dict) or set(one) != set(specs):
                keys = ",".join(sorted(specs))
                raise Refused(
                    f"Failed to process element: {number} of 'instances' list. JSON object: {json.dumps(one)} keys "
                    f"must be equal to: {keys}"
                )
        return {key: [one[key] for one in instances] for key in specs}

    def _columns(self, inputs: Any, specs: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(inputs, dict) or _is_bytes(inputs):
            if len(specs) != 1:
                raise Refused(
                    "inputs is a plain value/list, but expecting an object as multiple input tensors required"
                )
            return {next(iter(specs)): inputs}
        if missing := sorted(set(specs) - set(inputs)):
            raise Refused(f"Missing named input: {missing[0]} in 'inputs' object.")
        return {key: inputs[key] for key in specs}

    def _tensor(self, key: str, value: Any, spec: Any, by_row: bool) -> Any:
        kind = spec.dtype
        whole = value if by_row else [value]
        plain = [
            self._plain(one, kind, f"Failed to process element: {number} key: {key} of 'instances' list. Error: ")
            if by_row
            else self._plain(one, kind, "")
            for number, one in enumerate(whole)
        ]
        try:
            return self._tensorflow.constant(plain if by_row else plain[0], dtype=kind)
        except (ValueError, TypeError) as error:
            raise Refused(f"Encountered list at unexpected size: {key}: {error}") from None

    def _plain(self, value: Any, kind: Any, before: str) -> Any:
        """A value as the tensor's type takes it. Raises Refused for one of another type, as the server does."""
        if isinstance(value, list):
            return [self._plain(one, kind, before) for one in value]
        if _is_bytes(value):
            try:
                value = base64.b64decode(value["b64"], validate=True)
            except (ValueError, TypeError):
                raise Refused(f"{before}JSON Value: {json.dumps(value)} Unable to base64 decode") from None
        fits = {
            "string": isinstance(value, str | bytes),
            "bool": isinstance(value, bool),
            "float": isinstance(value, int | float) and not isinstance(value, bool),
            "int": (isinstance(value, int) and not isinstance(value, bool))
            or (isinstance(value, float) and value.is_integer()),
        }
        group = "string" if kind.name == "string" else "bool" if kind.name == "bool" else ""
        group = group or ("float" if kind.is_floating else "int")
        if not fits[group]:
            shown = json.dumps(value.decode("latin-1") if isinstance(value, bytes) else value)
            raise Refused(
                f"{before}JSON Value: {shown} Type: {_kind(value)} is not of expected type: {_c_name(kind.name)}"
            )
        return int(value) if group == "int" else value


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _kind(value: Any) -> str:
    """RapidJSON's name of a JSON type."""
    if isinstance(value, bool):
        return "True" if value else "False"
    if value is None:
        return "Null"
    return "Number" if isinstance(value, int | float) else "Object" if isinstance(value, dict) else "String"


def _c_name(name: str) -> str:
    return {"float32": "float", "float64": "double"}.get(name, name)


def _by_row(outputs: dict[str, Any], rows: int) -> list[Any]:
    for key, value in outputs.items():
        size = value.shape[0] if getattr(value, "shape", ()) else None
        if size is None:
            raise Refused(f"Tensor name: {key} has no shape information")
        if size != rows:
            raise Refused(f"Tensor name: {key} has inconsistent batch size: {size} expecting: {rows}")
    if len(outputs) == 1:
        [(key, value)] = outputs.items()
        return [_json(one, key) for one in value]
    return [{key: _json(value[row], key) for key, value in outputs.items()} for row in range(rows)]


def _by_column(outputs: dict[str, Any]) -> Any:
    if len(outputs) == 1:
        [(key, value)] = outputs.items()
        return _json(value, key)
    return {key: _json(value, key) for key, value in outputs.items()}


def _json(value: Any, key: str) -> Any:
    plain = value.tolist() if hasattr(value, "tolist") else value
    return _texts(plain, key.endswith("_bytes"))


def _texts(value: Any, as_bytes: bool) -> Any:
    """Strings of an output whose name ends in _bytes are base64, as in the requests."""
    if isinstance(value, list):
        return [_texts(one, as_bytes) for one in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()} if as_bytes else value.decode("utf-8", "replace")
    return value


class Handler(BaseHTTPRequestHandler):
    """The routes that Vertex AI tells by environment variables; 503 until the model is loaded."""

    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE
    secret = ""
    model: Model | None = None

    def do_GET(self) -> None:
        """Health."""
        if not self._is_front():
            return
        known = self.path == os.environ["AIP_HEALTH_ROUTE"]
        self._answer(404 if not known else 200 if Handler.model else 503, {})

    def do_POST(self) -> None:
        """Predict."""
        if not self._is_front():
            return
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != os.environ["AIP_PREDICT_ROUTE"] or Handler.model is None:
            return self._answer(404, {"error": f"Malformed request: POST {self.path}"})
        try:
            request = json.loads(data)
        except ValueError as error:
            return self._answer(400, {"error": f"JSON Parse error: {error}"})
        try:
            self._answer(200, Handler.model.predict(request))
        except Refused as error:
            self._answer(400, {"error": str(error)})

    def _is_front(self) -> bool:
        shown = self.headers.get(HEADER, "").encode("utf-8", "replace")
        if hmac.compare_digest(shown, Handler.secret.encode()):
            return True
        self.close_connection = True
        self._answer(403, {"error": "Only the front of the local cloud is answered."})
        return False

    def _answer(self, code: int, body: dict[str, Any]) -> None:
        data = (json.dumps(body, indent=4) + "\n").encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Access is not logged, as in the image."""


def main() -> None:
    """Load the model in AIP_STORAGE_URI, and answer meanwhile that it is not ready."""
    Handler.secret = os.environ.pop(SECRET)
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Handler.model = Model(os.environ["AIP_STORAGE_URI"])
    print("Successfully loaded servable version", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
