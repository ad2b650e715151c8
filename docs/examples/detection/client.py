"""Select boxes from the raw answers that scripts/infer.py wrote: drop low scores, then all but the best of a place."""

import sys

import numpy as np
import torch
from torchvision.ops import batched_nms

LEAST_SCORE, MOST_OVERLAP, MOST_BOXES = 0.3, 0.55, 10


def selected(boxes: np.ndarray, scores: np.ndarray) -> list[tuple[int, float, list[float]]]:
    """Return (category, score, corners) of the best boxes, of boxes (3234, 4) and scores (3234, 91) of one picture."""
    scores, boxes = torch.from_numpy(scores[:, 1:]), torch.from_numpy(boxes)  # category 0 is the background
    anchors, categories = torch.nonzero(scores >= LEAST_SCORE, as_tuple=True)
    kept = batched_nms(boxes[anchors], scores[anchors, categories], categories, MOST_OVERLAP)[:MOST_BOXES]
    anchors, categories = anchors[kept], categories[kept]
    best = zip(categories + 1, scores[anchors, categories], boxes[anchors], strict=True)
    return [(int(category), float(score), box.tolist()) for category, score, box in best]


def main() -> None:
    """Print the boxes of each picture in an archive."""
    answers = np.load(sys.argv[1])
    for number, picture in enumerate(zip(answers["boxes"], answers["scores"], strict=True)):
        for category, score, box in selected(*picture):
            print(f"picture {number}: category {category}, {score:.0%}, at {[round(corner) for corner in box]}")


if __name__ == "__main__":
    main()
