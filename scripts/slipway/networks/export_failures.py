"""Explain failed exports: the unsupported operator or the line of the user's code, and the remedy."""

import re
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import yaml

from slipway.contract.contract import BATCH
from slipway.core.errors import causes
from slipway.networks.user_code import at, first_sentence, last_line, line_in_text, line_of, without_colours

# It explains errors, and makes no artifact: see `keys/code_hash.py`.
PART_OF_KEYS = False

# The exporters' messages about an operator that they cannot write.
_OPERATOR = re.compile(
    r"No ONNX function found for <OpOverload\(op='(?P<new>[\w.]+)'"
    r"|Exporting the operator '(?P<old>[\w:]+)' to ONNX"
    r"|unrecognized namespace (?P<custom>[\w:]+)"
    r"|Couldn't export Python operator (?P<python>\w+)"
    r"|ONNX export of (?:operator )?(?P<partly>\w+)[,.]"
    r"|(?P<fake>\w+::\w+): attempted to run this operator with Meta tensors"
)
_REASON = re.compile(r"ONNX export of (?:operator )?\w+[,.] ([^.\n]+)")
_TRACED_LINE = re.compile(r"^(?P<file>[^\n]+)\((?P<line>\d+)\): ", re.MULTILINE)
_TAKES_A_NUMBER = re.compile(r"\.item\(|\.tolist\(|\bint\(|\bfloat\(|\brange\(")


def why_not_exported(error: Exception, model: torch.nn.Module, opset: int) -> str:
    """Explain why PyTorch could not export the network `model` to an ONNX opset, in a sentence with the remedy.

    The sentence names the operator, or the line of the user's code. `error` is the exporter's exception.
    """
    has_scripts = any(isinstance(module, torch.jit.ScriptModule) for module in model.modules())
    return f"the network cannot be exported: {_problem(error, has_scripts, opset)}"


def _problem(error: Exception, has_scripts: bool, opset: int) -> str:
    messages = "\n".join(f"{type(cause).__name__}: {without_colours(str(cause))}" for cause in causes(error))
    line = line_of(error) or _line_of_node(error)
    place = at(line)
    if has_scripts:
        match = _OPERATOR.search(messages)
        return (
            f"it is or holds a module of torch.jit, which only PyTorch's older exporter takes, and this one fails "
            f"({_operator(error, match) if match else first_sentence(error)}); save the network that it was made from "
            "as an exported program (torch.export.save), or let `architecture` name the plain module's factory"
        )
    if match := _OPERATOR.search(messages):
        return _of_operator(_operator(error, match), place, messages, opset)
    causes_of_exporters = yaml.safe_load(Path(__file__).with_name("export_causes.yaml").read_text(encoding="utf-8"))
    for cause in causes_of_exporters:
        if re.search(cause["pattern"], messages):
            is_number = line and _TAKES_A_NUMBER.search(line)
            return cause.get("of_a_number" if is_number else "words", cause["words"]).format(place=place)
    first_error = causes(error)[-1]
    return (
        f"it fails{place} ({first_sentence(first_error)}), though it runs in PyTorch; while it is exported, tensors "
        "have no values and the batch size is a symbol, so keep that line to PyTorch's own operators on tensors and "
        "their shapes"
    )


def why_the_axis_is_fixed(
    model: torch.nn.Module, example: tuple[torch.Tensor, ...], dynamic_shapes: tuple, name: str, size: int
) -> str:
    """Explain why the axis `name` is fixed at `size` in an exported ONNX file, in a sentence with the remedy.

    The sentence names the line of the user's code that fixes the size, if PyTorch finds it. `dynamic_shapes` has the
    dynamic axes of the inputs `example`, in the form of torch.export.
    """
    place = at(_line_that_fixes(model, example, dynamic_shapes, name))
    if name == BATCH:
        return (
            f"the exported file takes only batches of {size}: the network's code fixes the batch size{place}; write "
            "x.shape[0], or -1 in view and reshape, where that number stands, and neither loop over the batch nor "
            "compare its size"
        )
    return (
        f"the exporter fixed the axis {name} at {size}: the network's code fixes its size{place}; write x.shape[...], "
        f"or -1 in view and reshape, where that number stands, and neither loop over the axis nor compare its size, or "
        f"give the axis one size in `axes.{name}` of config.yaml"
    )


@contextmanager
def frozen_lines() -> Iterator[list[str]]:
    """Context manager: collect the lines of the user's code that the TorchScript exporter replaces by constants.

    Yields a list, which is filled at the end of the block. An entry is text such as "file.py:17: its source".
    """
    lines: list[str] = []
    try:
        with warnings.catch_warnings(record=True, action="always") as caught:
            yield lines
    finally:
        for warning in caught:
            warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)
            is_traced = warning.category.__name__ == "TracerWarning"
            line = last_line([(warning.filename, warning.lineno)]) if is_traced else None
            if line and line not in lines:
                lines.append(line)


def why_answers_differ(frozen: list[str], model: torch.nn.Module, opset: int) -> str:
    """Explain why an exported ONNX file answers otherwise than the network `model`, in a sentence with the remedy.

    `frozen` is the list of `frozen_lines`: code whose results the exporter replaced by constants. `opset` is the file's
    opset: below 18, the older exporter also fixes sizes in nn.MultiheadAttention.
    """
    attention = [name for name, module in model.named_modules() if isinstance(module, torch.nn.MultiheadAttention)]
    advice = (
        "keep to PyTorch's operators there, with torch.where in place of decisions and x.shape[0] in place of numbers"
    )
    reasons = []
    if frozen:
        lines = "; ".join(frozen[:3])
        reasons.append(f"the exporter replaced these lines of Python by their result for one batch: {lines}; {advice}")
    if attention and opset < 18:
        reasons.append(
            f"PyTorch's older exporter, which writes opset {opset}, fixes the batch size and lengths inside "
            f"nn.MultiheadAttention (`{'`, `'.join(attention[:3])}`); compute it with "
            "torch.nn.functional.scaled_dot_product_attention, or build for TensorRT 10 or newer alone: it reads the "
            "opset of the newer exporter, which leaves them dynamic"
        )
    return "; ".join(reasons) or (
        "the network does something that the export does not carry, such as a loop over the batch, a change in place, "
        f"or a number that its code computes; {advice}"
    )


def _of_operator(name: str, place: str, messages: str, opset: int) -> str:
    namespace = re.split(r"[.:]", name)[0]
    if namespace not in ("aten", "prims", "prim", "torchvision", "quantized"):
        return (
            f"it uses {name}{place}, an operator of its own, which no runtime has; write it with PyTorch's operators "
            "where torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()"
        )
    if "complex" in name or "complex-valued" in messages:
        return (
            f"it computes with complex numbers{place} ({name}), which ONNX lacks; compute with real and imaginary "
            "parts as two real tensors"
        )
    reason = _REASON.search(messages)
    because = f" ({reason[1]})" if reason else ""
    newer = ", or build for a newer TensorRT, whose exporter carries more" if opset < 18 else ""
    return (
        f"it uses the operator {name}{place}, which the exporter cannot write in ONNX opset {opset}{because}; write "
        f"that line with other operators (see https://onnx.ai/onnx/operators){newer}"
    )


def _operator(error: Exception, match: re.Match) -> str:
    """Return the name of the operator that could not be exported, as the user's code calls it.

    If no node of the graph states this name, return the name in the error message, from `match`.
    """
    name = next(group for group in match.groups() if group)
    for node in _nodes(error):
        original = getattr(node, "meta", {}).get("original_aten")
        if name.startswith("prims.") and original is not None:
            return str(original).removesuffix(".default")
    return f"aten.{name}" if match["partly"] else name.replace("::", ".")


def _line_of_node(error: Exception) -> str | None:
    """Return the line of the user's code that made the graph node which could not be exported; None if unknown."""
    for node in _nodes(error):
        if line := line_in_text(str(getattr(node, "stack_trace", None) or "")):
            return line
        if hasattr(node, "sourceRange"):  # of the older exporter: innermost first
            frames = [(frame["file"], int(frame["line"])) for frame in _TRACED_LINE.finditer(node.sourceRange())]
            if line := last_line(frames[::-1]):
                return line
    return None


def _nodes(error: Exception) -> Iterator[object]:
    for cause in causes(error):
        for frame, _ in traceback.walk_tb(cause.__traceback__):
            if (node := frame.f_locals.get("node")) is not None:
                yield node


def _line_that_fixes(
    model: torch.nn.Module, example: tuple[torch.Tensor, ...], dynamic_shapes: tuple, name: str
) -> str | None:
    """Return the user's line that PyTorch's diagnosis blames for a fixed axis; None if it blames no line.

    If PyTorch blames several lines, return the first line for the batch axis, and the last line for another axis. For
    another axis, the first lines may only compare this axis of two inputs.
    """
    lines = []
    try:
        report = torch.export.draft_export(model, example, dynamic_shapes=dynamic_shapes, strict=False)._report
        files = {number: name for name, number in torch._logging.structured.INTERN_TABLE.items()}
        for failure in report.failures:
            frames = failure.data.get("user_stack") or failure.data.get("stack") or []
            lines += [last_line([(files.get(frame["filename"], "<unknown>"), frame["line"]) for frame in frames])]
    except Exception:  # PyTorch's diagnosis of a failure can fail itself
        return None
    lines = [line for line in lines if line]
    return (lines[0] if name == BATCH else lines[-1]) if lines else None
