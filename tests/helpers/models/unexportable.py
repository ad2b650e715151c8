"""Networks that run in PyTorch, each picture by itself, which its exporters cannot carry, each for another reason."""

import numpy as np
import torch

from helpers.models.batch_networks import Backbone


class Decides(Backbone):
    """It decides by the values of a tensor, though never otherwise here."""

    def forward(self, images):
        features = self.features(images)
        if features.abs().sum() >= 0:
            features = features * 2
        return self.head(features)


class DecidesByPicture(Backbone):
    """It answers dark pictures otherwise than bright ones."""

    def forward(self, images):
        rows = []
        for image in images.split(1):
            features = self.features(image)
            rows.append(self.head(features) if image.mean() > 0 else self.head(-features))
        return torch.cat(rows)


class TakesANumber(Backbone):
    def forward(self, images):
        features = self.features(images)
        steps = int((features * 0).sum().item()) + 2
        return self.head(sum(features for _ in range(steps)))


class LeavesForNumpy(Backbone):
    def forward(self, images):
        features = self.features(images).detach().numpy()
        return self.head(torch.from_numpy(np.ascontiguousarray(np.median([features, features], axis=0))))


class LoopsOverBatch(Backbone):
    def forward(self, images):
        return torch.stack([self.head(row) for row in self.features(images)])


class ComparesBatch(Backbone):
    def forward(self, images):
        features = self.features(images)
        return self.head(features if features.shape[0] == 2 else features * 1)


class SingularValues(Backbone):
    def forward(self, images):
        features = self.features(images)
        return self.head(features + torch.linalg.svdvals(features[:, None] * torch.eye(8)))


class Bessel(Backbone):
    def forward(self, images):
        return self.head(torch.special.bessel_j0(self.features(images)))


class Complex(Backbone):
    def forward(self, images):
        pairs = torch.view_as_complex(self.features(images).reshape(-1, 4, 2).contiguous())
        return self.head((pairs * pairs.conj().sinh()).abs().repeat(1, 2))


@torch.library.custom_op("unexportable::twist", mutates_args=())
def twist(features: torch.Tensor) -> torch.Tensor:
    return features * 2


@twist.register_fake
def _(features):
    return torch.empty_like(features)


class OwnOperator(Backbone):
    def forward(self, images):
        return self.head(twist(self.features(images)))


class UnevenPool(Backbone):
    """A pool whose windows are not all of one size."""

    def forward(self, images):
        return self.head(torch.nn.functional.adaptive_avg_pool2d(self.stem(images), 3).mean((2, 3)))


class Scripted(Backbone):
    def __init__(self):
        super().__init__()
        self.head = torch.jit.script(self.head)

    def forward(self, images):
        return self.head(self.features(images))


class ComputesInDouble(Backbone):
    def __init__(self):
        super().__init__()
        self.double()

    def forward(self, images):
        return super().forward(images.double()).float()


class Autocasts(Backbone):
    def forward(self, images):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(images).float()


class ReadsSizeAsText(Backbone):
    def forward(self, images):
        features = self.features(images)
        return self.head(features) + torch.zeros(int(str(images.shape[0])), 5)
