"""SSDlite up to its raw answers: a box and scores for each of its 3234 anchors, before boxes are selected."""

import torch
from torch import nn
from torchvision.models import get_model
from torchvision.models.detection.image_list import ImageList

ARCHITECTURE, SIDE = "ssdlite320_mobilenet_v3_large", 320


class BoxesBeforeSelection(nn.Module):
    """The parts of a torchvision SSD that every picture passes in the same way.

    The selection (score threshold, non-maximum suppression) gives another number of boxes for each picture. Clients do
    it (client.py).
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = detector.backbone, detector.head
        anchors = _anchors(detector.eval())
        self.register_buffer("sizes", anchors[:, 2:] - anchors[:, :2], persistent=False)
        self.register_buffer("centres", (anchors[:, 2:] + anchors[:, :2]) / 2, persistent=False)

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return boxes (N, 3234, 4) in pixels and scores (N, 3234, 91) for pictures (N, 3, 320, 320)."""
        raw = self.head(list(self.backbone(pictures).values()))
        shifts, growths = raw["bbox_regression"].split(2, dim=-1)
        # As torchvision's BoxCoder with the weights (10, 10, 5, 5), for a whole batch.
        centres = self.centres + shifts / 10 * self.sizes
        sizes = self.sizes * (growths / 5).exp()
        boxes = torch.cat([centres - sizes / 2, centres + sizes / 2], dim=-1)
        return {"boxes": boxes, "scores": raw["cls_logits"].softmax(dim=-1)}


def _anchors(detector: nn.Module) -> torch.Tensor:
    """Return the corners (3234, 4) of all anchors in pixels."""
    pictures = torch.zeros(1, 3, SIDE, SIDE)
    with torch.no_grad():
        features = list(detector.backbone(pictures).values())
    return detector.anchor_generator(ImageList(pictures, [(SIDE, SIDE)]), features)[0]


def detector() -> BoxesBeforeSelection:
    """Return the network without trained weights."""
    return BoxesBeforeSelection(get_model(ARCHITECTURE, weights=None, weights_backbone=None))
