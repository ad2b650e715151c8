"""The table of torchvision's bodies: PYTHONPATH=scripts:tests python -m helpers.models.torchvision_bodies writes it."""

import json

import torch
import torchvision

from slipway.models.recognition import _TABLE, body_digest, empty_network

CLASSES = 977


def names():
    """Return torchvision's classifiers and networks for segmentation."""
    modules = (torchvision.models, torchvision.models.segmentation)
    return [name for module in modules for name in torchvision.models.list_models(module=module)]


def row(architecture):
    """Return the row of a network: the tensor with a row for each class, and the digest of the rest; None if several.

    No other tensor of any network has so odd a number of rows.
    """
    tensors = empty_network(architecture, num_classes=CLASSES).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items() if not name.lower().startswith("aux")}
    of_classes = [name for name, shape in shapes.items() if len(shape) > 1 and shape[0] == CLASSES]
    if len(of_classes) > 1:  # LRASPP has two heads
        return None
    return {"classes": of_classes[0], "body": body_digest(shapes, of_classes[0].partition(".")[0])}


if __name__ == "__main__":
    with torch.no_grad():
        rows = [f' "{name}": {json.dumps(found)}' for name in names() if (found := row(name))]
    _TABLE.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
