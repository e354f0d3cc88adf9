"""Code with which an app asks a model, with the model's own names.

Kotlin for LiteRT's Interpreter, https://ai.google.dev/edge/litert/android; Swift for TensorFlowLiteSwift, whose
SignatureRunner copies bytes and so has no text inputs, https://ai.google.dev/edge/litert/ios/quickstart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Inputs = Mapping[str, tuple[str, Sequence[int]]]  # name -> its data type and the sizes of one
_KOTLIN = """\
import android.content.Context
import org.tensorflow.lite.Interpreter
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Asks @FILE@ in the app's assets. build.gradle.kts: implementation("com.google.ai.edge.litert:litert:1.4.0") */
class Model(context: Context) {
    private val interpreter = Interpreter(context.assets.open("@FILE@").use { stream ->
        val bytes = stream.readBytes()
        ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).apply { put(bytes); rewind() }
    })
@CLASSES@
    fun ask(
@TAKES@
    ): @RETURNS@ {
        val inputs = mapOf<String, Any>(
@GIVES@
        )
        val answer = arrayOf(FloatArray(@WIDTH@))
        interpreter.runSignature(inputs, mapOf<String, Any>(@OUTPUT@ to answer), @KEY@)
@ANSWER@
    }
}
"""
_SWIFT = """\
import Foundation
import TensorFlowLite

/// Asks @FILE@ in the app's bundle. Package: TensorFlowLiteSwift.
final class Model {
    private let interpreter: Interpreter
    private let runner: SignatureRunner
@CLASSES@
    init(path: String) throws {
        interpreter = try Interpreter(modelPath: path)
        runner = try interpreter.signatureRunner(with: @KEY@)
    }

    func ask(
@TAKES@
    ) throws -> @RETURNS@ {
        try runner.invoke(with: [
@GIVES@
        ])
        let answer = try runner.output(named: @OUTPUT@).data.withUnsafeBytes { Array($0.bindMemory(to: Float32.self)) }
@ANSWER@
    }

    private func bytes<Number>(_ numbers: [Number]) -> Data {
        numbers.withUnsafeBufferPointer { Data(buffer: $0) }
    }
}
"""


def kotlin(file: str, inputs: Inputs, output: str, key: str, width: int, classes: Sequence[str] | None) -> str:
    """Model.kt. `width` is the count of numbers that the last layer gives; one for two classes is the second's."""
    types = {"string": "String", "float32": "Float", "int32": "Int"}
    takes, gives = [], []
    for name, (kind, sizes) in inputs.items():
        array = "Array<" * (len(sizes) - 1) + f"{types[kind]}Array" + ">" * (len(sizes) - 1)
        takes.append(f"        {name}: {array if sizes else types[kind]},")
        whole = f"arrayOf({name})" if sizes or kind == "string" else f"{types[kind].lower()}ArrayOf({name})"
        gives.append(f"            {_kotlin_text(name)} to {whole},")
    shares = "listOf(1 - answer[0][0], answer[0][0])" if width == 1 else "answer[0].toList()"
    best = f"        val shares = {shares}\n        val best = shares.indices.maxBy {{ shares[it] }}\n"
    named = ", ".join(map(_kotlin_text, classes or ()))
    return _filled(
        _KOTLIN,
        FILE=file,
        CLASSES=f"    private val classes = listOf({named})\n" if classes else "",
        TAKES="\n".join(takes),
        RETURNS="Pair<String, Float>" if classes else "Float",
        GIVES="\n".join(gives),
        WIDTH=str(width),
        OUTPUT=_kotlin_text(output),
        KEY=_kotlin_text(key),
        ANSWER=best + "        return classes[best] to shares[best]" if classes else "        return answer[0][0]",
    )


def swift(file: str, inputs: Inputs, output: str, key: str, width: int, classes: Sequence[str] | None) -> str:
    """Model.swift. An array is given as its numbers in a row, its last axis first."""
    types = {"float32": "Float32", "int32": "Int32"}
    takes, gives = [], []
    for name, (kind, sizes) in inputs.items():
        takes.append(f"        {name}: {f'[{types[kind]}]' if sizes else types[kind]}")
        gives.append(f"            {_text(name)}: bytes({name if sizes else f'[{name}]'}),")
    shares = "[1 - answer[0], answer[0]]" if width == 1 else "answer"
    best = f"        let shares = {shares}\n        let best = shares.indices.max {{ shares[$0] < shares[$1] }}!\n"
    named = ", ".join(map(_text, classes or ()))
    return _filled(
        _SWIFT,
        FILE=file,
        CLASSES=f"    private let classes = [{named}]\n" if classes else "",
        TAKES=",\n".join(takes),
        RETURNS="(String, Float32)" if classes else "Float32",
        GIVES="\n".join(gives),
        OUTPUT=_text(output),
        KEY=_text(key),
        ANSWER=best + "        return (classes[best], shares[best])" if classes else "        return answer[0]",
    )


def _filled(template: str, **parts: str) -> str:
    """The template with its marks replaced, each line by line: no part is looked through for marks."""
    pieces = template.split("@")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _kotlin_text(value: str) -> str:
    return _text(value).replace("$", "\\$")
