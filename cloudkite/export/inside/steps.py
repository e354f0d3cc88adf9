"""A Keras model as a list of few kinds of steps, which page/runtime.js runs. Runs alone, without Cloudkite.

A program is {"inputs": {name: place}, "steps": [[kind, [places or constants], place, settings, [weights]]], "out":
place, "places": count, "weights": base64 of float32}. A weight, or a constant, is [first number, shape]. Tensors have
a first axis of one row.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras  # pyright: ignore[reportMissingImports]
import numpy as np

NOTHING = {
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout",
    "ActivityRegularization", "Identity",
}  # fmt: skip  # what they do, they do while learning
CURVES = {
    "linear", "relu", "relu6", "sigmoid", "tanh", "softmax", "softplus", "softsign", "elu", "selu", "gelu", "silu",
    "swish", "leaky_relu", "hard_sigmoid", "hard_silu", "exponential", "mish", "log1p", "log", "exp", "expm1", "sqrt",
    "square", "abs", "negative", "sin", "cos",
}  # fmt: skip
OPERATIONS = {  # of keras.ops, by the name of their class
    "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Elu": "elu",
    "Silu": "silu", "Log1p": "log1p", "Log": "log", "Exp": "exp", "Expm1": "expm1", "Sqrt": "sqrt", "Square": "square",
    "Absolute": "abs", "Abs": "abs", "Negative": "negative", "Sin": "sin", "Cos": "cos",
}  # fmt: skip
PAIRS = {
    "Add": "add", "Multiply": "multiply", "Subtract": "subtract", "Divide": "divide", "TrueDivide": "divide",
    "Maximum": "maximum", "Minimum": "minimum", "Equal": "equal", "NotEqual": "not_equal", "Greater": "greater",
    "GreaterEqual": "greater_equal", "Less": "less", "LessEqual": "less_equal", "Average": "add",
}  # fmt: skip
SHAPES = {"Flatten", "Reshape", "ExpandDims", "Squeeze"}
Step = tuple[str, dict[str, Any], list[np.ndarray]]


class Unsupported(Exception):
    """A layer that the page can't run as Keras does, by its name."""


def numbers(value: Any) -> np.ndarray:
    """A variable, or what can be an array, in float32."""
    return np.asarray(keras.ops.convert_to_numpy(value), "float32")


def refuse(op: Any, why: str = "") -> Unsupported:
    """The error for a layer."""
    return Unsupported(f"{getattr(op, 'name', '')} ({type(op).__name__}{': ' if why else ''}{why})")


def curve(op: Any, function: Callable) -> Step:
    """An activation. A function of another name, or one of the person's own, isn't known."""
    name = getattr(function, "__name__", type(function).__name__)
    if name not in CURVES or getattr(keras.activations, name, None) is not function:
        raise refuse(op, f"activation {name}")
    return ("curve", {"f": name}, [])


def layer(op: Any) -> list[Step]:
    """One layer -> its steps; [] for one that does nothing. Raises Unsupported."""
    kind = type(op).__name__
    if type(op).__module__.partition(".")[0] != "keras":
        raise refuse(op)
    if getattr(op, "compute_dtype", "float32") not in ("float32", None, "int32", "int64"):
        raise refuse(op, op.compute_dtype)
    if getattr(op, "data_format", "channels_last") not in ("channels_last", None):
        raise refuse(op, op.data_format)
    if kind in NOTHING or kind.startswith("Random"):
        return []
    if known := MADE.get(kind):
        return known(op)
    if kind in OPERATIONS:
        return [("curve", {"f": OPERATIONS[kind]}, [])]
    if kind == "Softmax" and getattr(op, "axis", -1) in (-1, [-1]):
        return [("curve", {"f": "softmax"}, [])]
    if kind == "NanToNum":
        limit = float(np.finfo("float32").max)
        ends = {"v": op.nan, "high": op.posinf, "low": op.neginf}
        usual = {"v": 0.0, "high": limit, "low": -limit}
        return [("nan", {n: usual[n] if v is None else float(v) for n, v in ends.items()}, [])]
    if kind == "Cast":
        to = str(keras.backend.standardize_dtype(op.dtype))
        if to not in ("float32", "int32", "int64", "bool"):
            raise refuse(op, to)
        return [("cast", {"to": to}, [])]
    raise refuse(op)


def dense(op: Any) -> list[Step]:
    """Dense."""
    return [("dense", {}, [numbers(op.kernel)] + ([numbers(op.bias)] if op.use_bias else [])), curve(op, op.activation)]


def convolution(op: Any) -> list[Step]:
    """Conv1D, Conv2D, and those that go channel by channel. One axis is a picture of height 1."""
    kind = type(op).__name__
    line = kind.endswith("1D")
    lift = (lambda v: numbers(v)[None]) if line else numbers
    settings = {"st": [1] * line + list(op.strides), "di": [1] * line + list(op.dilation_rate), "pad": op.padding}
    settings["line"] = line
    bias, last = [numbers(op.bias)] if op.use_bias else [], curve(op, op.activation)
    if kind.startswith("Conv"):
        return [("conv", {**settings, "g": op.groups}, [lift(op.kernel), *bias]), last]
    kernel = lift(op.depthwise_kernel if kind.startswith("Separable") else op.kernel)
    each = ("conv", {**settings, "g": kernel.shape[2]}, [kernel.reshape(*kernel.shape[:2], 1, -1)])
    if kind.startswith("Depthwise"):
        return [(each[0], each[1], [*each[2], *bias]), last]
    point = {"st": [1, 1], "di": [1, 1], "pad": "valid", "line": line, "g": 1}
    return [each, ("conv", point, [lift(op.pointwise_kernel), *bias]), last]


def pooling(op: Any) -> list[Step]:
    """MaxPooling and AveragePooling."""
    line = type(op).__name__.endswith("1D")
    two = lambda v: [1] * line + list(v if isinstance(v, tuple | list) else (v,) * (2 - line))  # noqa: E731
    settings = {"max": type(op).__name__[0] == "M", "k": two(op.pool_size), "st": two(op.strides), "pad": op.padding}
    return [("pool", {**settings, "line": line}, [])]


def over_all(op: Any) -> list[Step]:
    """GlobalMaxPooling and GlobalAveragePooling."""
    return [("over_all", {"max": "Max" in type(op).__name__, "keep": bool(op.keepdims)}, [])]


def normalization(op: Any) -> list[Step]:
    """Normalization, over one number or the last axis."""
    mean, variance = (numbers(v).ravel().astype("float64") for v in (op.mean, op.variance))
    if mean.size > 1 and np.shape(numbers(op.mean))[-1] != mean.size:
        raise refuse(op, f"axis {op.axis}")
    scale = np.maximum(np.sqrt(variance), keras.config.epsilon())
    # (x - mean) / scale in this order: x * (1 / scale) - mean / scale loses digits where the mean is large.
    return [("shift", {"invert": bool(op.invert)}, [numbers(mean), numbers(scale)])]


def batch_normalization(op: Any) -> list[Step]:
    """BatchNormalization as it is after learning, over the last axis."""
    if len(op._build_shapes_dict["input_shape"]) - 1 != op.axis % len(op._build_shapes_dict["input_shape"]):
        raise refuse(op, f"axis {op.axis}")
    scale = 1 / np.sqrt(numbers(op.moving_variance).astype("float64") + op.epsilon)
    scale = scale * (numbers(op.gamma) if op.scale else 1)
    offset = (numbers(op.beta) if op.center else 0) - numbers(op.moving_mean) * scale
    return [("affine", {}, [numbers(scale), numbers(offset)])]


def layer_normalization(op: Any) -> list[Step]:
    """LayerNormalization over the last axis."""
    shape = op._build_shapes_dict["input_shape"]
    axis = op.axis if isinstance(op.axis, int) else op.axis[0] if len(op.axis) == 1 else 0
    if axis % len(shape) != len(shape) - 1 or getattr(op, "rms_scaling", False):
        raise refuse(op, f"axis {op.axis}")
    gain = numbers(op.gamma) if op.scale else np.ones(shape[-1])
    return [("layer_norm", {"eps": op.epsilon}, [gain, numbers(op.beta) if op.center else np.zeros(shape[-1])])]


def rescaling(op: Any) -> list[Step]:
    """Rescaling."""
    scale, offset = np.ravel(op.scale), np.ravel(op.offset)
    return [("affine", {}, [scale, offset])]


def rectified(op: Any) -> list[Step]:
    """ReLU and LeakyReLU with what they may be given."""
    if getattr(op, "max_value", None) is not None or getattr(op, "threshold", 0):
        raise refuse(op, "max_value, threshold")
    return [("leaky", {"a": float(np.ravel(op.negative_slope)[0])}, [])]


def embedding(op: Any) -> list[Step]:
    """Embedding without a mask."""
    if op.mask_zero:
        raise refuse(op, "mask_zero")
    return [("embed", {}, [numbers(op.embeddings)])]


MADE: Mapping[str, Callable[[Any], list[Step]]] = {
    "Dense": dense, "Normalization": normalization, "BatchNormalization": batch_normalization, "Rescaling": rescaling,
    "LayerNormalization": layer_normalization, "ReLU": rectified, "LeakyReLU": rectified, "Embedding": embedding,
    "Activation": lambda op: [curve(op, op.activation)],
    **dict.fromkeys(("Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
                    convolution),
    **dict.fromkeys((f"{kind}Pooling{size}D" for kind in ("Max", "Average") for size in (1, 2)), pooling),
    **dict.fromkeys((f"Global{kind}Pooling{size}D" for kind in ("Max", "Average") for size in (1, 2)), over_all),
}  # fmt: skip


class Program:
    """The steps of one model as they are found."""

    def __init__(self) -> None:
        self.steps: list[list] = []
        self.places = 0
        self.blob = bytearray()

    def place(self) -> int:
        """A new place for a tensor."""
        self.places += 1
        return self.places - 1

    def put(self, values: Any) -> list:
        """Keep numbers, and give where they are."""
        given = np.asarray(values)
        array = given.astype("<f4")
        if given.dtype.kind in "iu" and (array != given).any():
            raise Unsupported(f"the whole number {np.max(given)} (too large for float32)")
        self.blob.extend(array.tobytes())
        return [len(self.blob) // 4 - array.size, list(array.shape)]

    def add(self, kind: str, ins: Iterable, settings: Mapping, weights: Iterable = ()) -> int:
        """Add a step, and give the place of its result."""
        self.steps.append([kind, list(ins), self.place(), dict(settings), [self.put(w) for w in weights]])
        return self.steps[-1][2]

    def operand(self, value: Any, places: Mapping[int, int]) -> Any:
        """A tensor's place, or a constant."""
        return places[id(value)] if isinstance(value, keras.KerasTensor) else {"c": self.put(value)}

    def walk(self, model: Any, given: list[int]) -> list[int]:
        """The places of a model's outputs, for those of its inputs."""
        model = getattr(model, "_functional", None) or model  # a Sequential keeps its graph inside
        if not hasattr(model, "_nodes_by_depth"):
            raise refuse(model, "a class of its own")
        places = {id(t): place for t, place in zip(keras.tree.flatten(model.inputs), given, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if node.is_input or node.operation is None:
                    continue
                for tensor, place in zip(node.outputs, self.node(node, places), strict=True):
                    places[id(tensor)] = place
        return [places[id(t)] for t in keras.tree.flatten(model.outputs)]

    def node(self, node: Any, places: Mapping[int, int]) -> list[int]:
        """One call of a layer or an operation."""
        op, kind = node.operation, type(node.operation).__name__
        tensors = [t for t in keras.tree.flatten(node.arguments.args) if isinstance(t, keras.KerasTensor)]
        extra = keras.tree.flatten([v for n, v in node.arguments.kwargs.items() if n != "training"])
        if any(isinstance(value, keras.KerasTensor) for value in extra):
            raise refuse(op, "a mask or another second tensor")
        if hasattr(op, "_nodes_by_depth") or getattr(op, "_functional", None) is not None:
            return self.walk(op, [places[id(t)] for t in tensors])
        if len(node.outputs) != 1:
            raise refuse(op, f"{len(node.outputs)} outputs")
        ins = [places[id(t)] for t in tensors]
        if kind in SHAPES and all(node.outputs[0].shape[1:]):
            return [self.add("shape", ins, {"to": list(node.outputs[0].shape[1:])})]
        if kind in PAIRS:
            parts = node.arguments.args[0] if isinstance(node.arguments.args[0], list | tuple) else node.arguments.args
            places_of = [self.operand(part, places) for part in parts]
            made = places_of[0]
            for other in places_of[1:]:
                made = self.add("pair", [made, other], {"f": PAIRS[kind]})
            count = self.put(np.float32(len(places_of)))
            return [self.add("pair", [made, {"c": count}], {"f": "divide"})] if kind == "Average" else [made]
        if kind in ("Concatenate", "Stack"):
            rank = len(node.outputs[0].shape)
            return [self.add("concat" if kind == "Concatenate" else "stack", ins, {"axis": op.axis % rank})]
        if kind == "Take":
            axis = None if op.axis is None else op.axis % len(tensors[0].shape)
            indices = np.asarray(node.arguments.args[1]) if len(tensors) == 1 else None
            if not axis or indices is None or indices.ndim != 1 or (indices < 0).any():
                raise refuse(op, "indices that aren't constant, or another axis")
            return [self.add("take", ins, {"axis": axis, "of": indices.tolist()})]
        if len(ins) != 1:
            raise refuse(op, f"{len(ins)} inputs")
        for one, settings, weights in layer(op):
            ins = [self.add(one, ins, settings, weights)]
        return ins


def program(model: Any) -> dict:
    """The steps of a model. Raises Unsupported."""
    made = Program()
    tensors = keras.tree.flatten(model.inputs)
    given = [made.place() for _ in tensors]
    out = made.walk(model, given)
    if len(out) != 1:
        raise Unsupported(f"{len(out)} outputs")
    return {
        "inputs": {t.name: place for t, place in zip(tensors, given, strict=True)},
        "shapes": {t.name: list(t.shape[1:]) for t in tensors},
        "steps": made.steps,
        "out": out[0],
        "places": made.places,
        "weights": base64.b64encode(bytes(made.blob)).decode(),
    }
