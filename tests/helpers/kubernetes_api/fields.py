"""The fields of an object, as server-side apply sees them: which there are, who set them, and who may change them."""

import copy
import json


def leaves(found, path=()):
    """Yield (path, value) of every field; an item of a list is its own field where the list is keyed by name."""
    if isinstance(found, dict) and found:
        for key, value in found.items():
            yield from leaves(value, (*path, key))
    elif isinstance(found, list) and found and all(isinstance(each, dict) and "name" in each for each in found):
        for each in found:
            yield from leaves(each, (*path, ("name", each["name"])))
    else:
        yield path, found


def conflicts(live, fields, owners, manager, api_version):
    """Return the causes of a conflict: fields that others set, and to something else."""
    causes = []
    for other, paths in owners.items():
        for path in paths:
            if other != manager and path in fields and _value(live, path) != fields[path]:
                message = f'conflict with "{other}" using {api_version}'
                causes.append({"reason": "FieldManagerConflict", "message": message, "field": _dotted(path)})
    return causes


def fields_v1(paths):
    """Return fields as the API writes down whose they are."""
    found = {}
    for path in paths:
        inner = found
        for part in path:
            named = f"k:{json.dumps({'name': part[1]})}" if isinstance(part, tuple) else f"f:{part}"
            inner = inner.setdefault(named, {})
    return found


def _dotted(path):
    parts = [f'[name="{part[1]}"]' if isinstance(part, tuple) else f".{part}" for part in path]
    return "".join(parts)


def _value(found, path):
    for part in path:
        found = _item(found, part)
        if found is None:
            return None
    return found


def _item(found, part):
    if isinstance(part, tuple):
        return next((each for each in found if each.get("name") == part[1]), None)
    return found.get(part)


def put_value(found, path, value):
    """Set a field, and make what it lies in where that is missing."""
    for index, part in enumerate(path[:-1]):
        inner = _item(found, part)
        if inner is None:
            inner = [] if isinstance(path[index + 1], tuple) else {}
            if isinstance(part, tuple):
                inner = {"name": part[1]}
                found.append(inner)
            else:
                found[part] = inner
        found = inner
    found[path[-1]] = copy.deepcopy(value)


def drop_value(found, path):
    """Remove a field that nobody sets any longer, and the item of a list of which it was the last."""
    inner = _item(found, path[0]) if len(path) > 1 else None
    if inner is None:
        found.pop(path[0], None)
        return
    drop_value(inner, path[1:])
    if isinstance(path[0], tuple) and not inner:
        found.remove(inner)
