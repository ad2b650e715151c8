"""Managed fields: the part of a live object that one field manager has set.

When Slipway applies an object again, it sends only the fields that Slipway had set. A manager that applies a field owns
this field, and has to apply it from then on. So Slipway must not apply a field that the cluster filled in, such as a
Service's address.
The format is FieldsV1: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

import json
from typing import Any

from slipway.cluster.api import FIELD_MANAGER


def set_fields(live: dict) -> dict:
    """Return the part of a live object that can be applied again: the fields that Slipway set.

    If Slipway set no field, return the fields that other managers set. The result always has the apiVersion, kind, name
    and namespace. An object without managed fields is returned unchanged.
    """
    entries = [entry for entry in live["metadata"].get("managedFields") or [] if not entry.get("subresource")]
    ours = [entry for entry in entries if entry["manager"] == FIELD_MANAGER and entry["operation"] == "Apply"]
    fields: dict = {}
    for entry in ours or entries:
        _merge(fields, entry.get("fieldsV1") or {})
    if not fields:
        return live
    chosen = _chosen(live, fields)
    name = {part: live["metadata"][part] for part in ("name", "namespace") if part in live["metadata"]}
    of_kind = {part: live[part] for part in ("apiVersion", "kind")}
    return chosen | of_kind | {"metadata": chosen.get("metadata", {}) | name}


def _merge(fields: dict, more: dict) -> None:
    for part, inner in more.items():
        _merge(fields.setdefault(part, {}), inner)


def _chosen(value: Any, fields: dict) -> Any:
    """Return the parts of a value that `fields` names; the whole value if `fields` names no part.

    `fields` has the form FieldsV1, such as {"f:spec": {"f:replicas": {}}}.
    """
    if not set(fields) - {"."}:
        return value
    if isinstance(value, dict):
        named = {part.removeprefix("f:"): inner for part, inner in fields.items() if part.startswith("f:")}
        return {name: _chosen(inner, named[name]) for name, inner in value.items() if name in named}
    return [_chosen(item, inner) for item in value or [] for part, inner in fields.items() if _is_named(item, part)]


def _is_named(item: Any, part: str) -> bool:
    """Say whether a key of FieldsV1 selects an item of a list, such as 'k:{"name":"triton"}' or 'v:"a"'.

    "k:{...}" selects by keys of the item, "v:..." by its value.
    """
    kind, _, value = part.partition(":")
    if kind == "k":
        return isinstance(item, dict) and json.loads(value).items() <= item.items()
    return kind == "v" and json.loads(value) == item
