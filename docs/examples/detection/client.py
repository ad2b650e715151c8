"""Select boxes from the raw answers that scripts/infer.py wrote: drop low scores, then all but the best of a place."""

import sys
from collections.abc import Iterator, Mapping

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


def pictures(answers: Mapping[str, np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the boxes and scores of each picture, of arrays `boxes` and `scores` or of numbered ones, `0/boxes`."""
    for name in answers:
        number, separator, output = name.rpartition("/")
        if output == "boxes":
            yield from zip(answers[name], answers[f"{number}{separator}scores"], strict=True)


def main() -> None:
    """Print the boxes of each picture in an archive."""
    with np.load(sys.argv[1]) as answers:
        for number, picture in enumerate(pictures(answers)):
            boxes = selected(*picture)
            for category, score, box in boxes:
                print(f"picture {number}: category {category}, {score:.0%}, at {[round(corner) for corner in box]}")
            if not boxes:
                print(f"picture {number}: no box has a score of {LEAST_SCORE:.0%} or more")


if __name__ == "__main__":
    main()
