"""Parse the engine inspector's text about a layer, in the forms of all TensorRT releases."""

import json
import re
from types import ModuleType
from typing import Any

_FIELDS = ("Name", "LayerType", "ParameterType")
# One field of a layer, or of its weights or tensors, in a text that may be broken elsewhere.
_FIELD = r'"{}"\s*:\s*"((?:[^"\\]|\\.)*)'
UNREAD = "unread"


def layer_text(trt: ModuleType, inspector: Any, index: int) -> str:
    """Return the inspector's JSON about a layer; its one-line text if the JSON is not valid text; "" if neither is."""
    for form in (trt.LayerInformationFormat.JSON, trt.LayerInformationFormat.ONELINE):
        try:
            return inspector.get_layer_information(index, form)
        except (RuntimeError, ValueError):  # a UnicodeDecodeError is a ValueError
            continue
    return ""


def read_layer(text: str) -> dict:
    """Return the inspector's fields of a layer.

    TensorRT 8.6 writes control characters into its JSON. In text that is not JSON, only the important fields are
    searched, and the whole text becomes the field "unread".
    """
    try:
        layer = json.loads(text, strict=False)
    except ValueError:
        return _search_fields(text)
    return layer if isinstance(layer, dict) else {"Name": str(layer)}


def _search_fields(text: str) -> dict:
    layer = {name: _values(name, text)[0] for name in _FIELDS if _values(name, text)}
    types = _values("Type", text)
    formats = _values("Format/Datatype", text)
    return {
        "Name": "",
        **layer,
        **({"Weights": {"Type": types[0]}} if types else {}),
        "Inputs": [{"Format/Datatype": form} for form in formats],
        UNREAD: text,
    }


def _values(field: str, text: str) -> list[str]:
    return re.findall(_FIELD.format(re.escape(field)), text, re.DOTALL)
