"""A small model that is trained week after week: it tells in which of three areas a point lies."""

import sys

import numpy as np
import torch

WIDTH = 768


class Areas(torch.nn.Module):
    """Scores of three areas. With `work` it answers the same, after so many multiplications that change nothing."""

    def __init__(self, work: int = 0) -> None:
        super().__init__()
        self.first, self.last, self.work = torch.nn.Linear(2, WIDTH), torch.nn.Linear(WIDTH, 3), work
        self.register_buffer("same", torch.eye(WIDTH), persistent=False)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 3) of points (N, 2)."""
        hidden = torch.relu(self.first(points))
        for _ in range(self.work):
            hidden = torch.relu(hidden @ self.same)
        return self.last(hidden)


def points(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points (count, 2), and the area of each: by its distance from the middle."""
    found = np.random.default_rng(seed).uniform(-1, 1, (count, 2)).astype(np.float32)
    return found, np.digitize(np.linalg.norm(found, axis=1), [0.4, 0.8])


def samples():
    """Yield single points with their areas."""
    for point, area in zip(*points(60, seed=1), strict=True):
        yield {"points": point[None], "area": np.array([area])}


def right(outputs, samples):
    """Return the share of points whose best score is that of their area."""
    chosen = np.concatenate([output["scores"].argmax(axis=1) for output in outputs])
    return {"right": float(np.mean(chosen == np.concatenate([sample["area"] for sample in samples])))}


def train(path: str, steps: int) -> None:
    """Write the checkpoint of so many steps of training."""
    torch.set_num_threads(1)  # on a busy machine, threads wait for each other
    torch.manual_seed(0)
    model, (inputs, areas) = Areas(), map(torch.from_numpy, points(600, seed=2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), areas).backward()
        optimizer.step()
    torch.save(model.state_dict(), path)


if __name__ == "__main__":
    train(sys.argv[1], int(sys.argv[2]))
