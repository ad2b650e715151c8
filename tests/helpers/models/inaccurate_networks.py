"""Networks that lose their accuracy in few bits. They need PyTorch alone: a test copies this file as a user's code."""

import torch

WIDTH = 16


class Overflowing(torch.nn.Module):
    """Squares its inner values, which FP16 cannot hold for large inputs, and divides by their mean."""

    def __init__(self):
        super().__init__()
        self.enter = torch.nn.Linear(WIDTH, 32)
        self.energy = Energy()
        self.leave = torch.nn.Linear(32, 4)

    def forward(self, x):
        return self.leave(self.energy(self.enter(x)))


class Energy(torch.nn.Module):
    """The squares of values / their mean."""

    def forward(self, values):
        squares = values * values
        return squares / (squares.mean(-1, keepdim=True) + 1)


class Outlying(torch.nn.Module):
    """Three layers. The inputs of the second have one channel that is a thousand times as large as all others."""

    def __init__(self):
        super().__init__()
        self.enter = torch.nn.Conv2d(1, 32, 3, padding=1)
        self.outlier = torch.nn.Conv2d(32, 32, 3, padding=1)
        self.leave = torch.nn.Conv2d(32, 4, 4)
        with torch.no_grad():
            self.enter.weight[0] *= 1000
            self.enter.bias[0] *= 1000
            # Of the large channel the next layer takes little, so that all the others decide.
            self.outlier.weight[:, 0] *= 1e-4

    def forward(self, x):
        inner = self.outlier(self.enter(x.view(-1, 1, 4, 4)).relu()).relu()
        return self.leave(inner).flatten(1)
