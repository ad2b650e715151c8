"""Networks whose answer to a picture depends on its neighbours in the batch, or on chance, each in another way."""

import random

import torch
from torch import nn


class Backbone(nn.Module):
    """A convolution and a mean over the pixels: (N, 3, H, W) to features (N, 8); `head` makes logits (N, 5) of them."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2)
        self.head = nn.Linear(8, 5)

    def features(self, images):
        return self.stem(images).relu().mean((2, 3))

    def forward(self, images):
        return self.head(self.features(images))


class Independent(Backbone):
    """Each picture by itself."""


class NoStatistics(Backbone):
    """Batch normalisation that keeps no statistics, so it takes those of the batch in eval mode too."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(8, track_running_stats=False)

    def features(self, images):
        return self.norm(self.stem(images)).relu().mean((2, 3))


class TrainMode(NoStatistics):
    """Batch normalisation that eval mode does not reach."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(8)

    def train(self, mode=True):
        super().train(mode)
        self.norm.train()
        return self


class OverBatch(nn.Module):
    """The user's own normalisation, over the batch."""

    def forward(self, features):
        return (features - features.mean(0, keepdim=True)) / (features.std(0, unbiased=False, keepdim=True) + 1)


class OwnNorm(Backbone):
    def __init__(self):
        super().__init__()
        self.norm = OverBatch()

    def features(self, images):
        return self.norm(super().features(images))


class SoftmaxOverBatch(Backbone):
    def __init__(self):
        super().__init__()
        self.weigh = nn.Softmax(dim=0)

    def forward(self, images):
        return self.head(self.weigh(self.features(images)))


class MeanOverBatch(Backbone):
    def forward(self, images):
        features = self.features(images)
        return self.head(features - features.mean(0))


class SortedBatch(Backbone):
    def forward(self, images):
        return self.head(self.features(images).sort(0).values)


class SumSoFar(Backbone):
    def forward(self, images):
        return self.head(self.features(images).cumsum(0))


class AttentionOverBatch(Backbone):
    """Attention that takes the batch for a sequence."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2)

    def forward(self, images):
        features = self.features(images)
        return self.head(features + self.attention(features, features, features)[0])


class BatchSize(Backbone):
    """It answers by how many pictures there are, whichever they are."""

    def forward(self, images):
        return super().forward(images) * (1 + 0.1 * images.shape[0])


class LargeBatch(Backbone):
    """It treats more than 8 pictures otherwise."""

    def features(self, images):
        features = super().features(images)
        return features - features.mean(0) if len(images) > 8 else features


class RunningMean(Backbone):
    """Its running average goes on in eval mode, by so little that two runs hardly differ."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(8))

    def features(self, images):
        features = super().features(images)
        self.mean.lerp_(features.mean(0), 1e-4)
        return features - self.mean


class CountsItsRuns(Backbone):
    """A counter, and a table that the first run makes, which no answer depends on."""

    def __init__(self):
        super().__init__()
        self.register_buffer("runs", torch.tensor(0))
        self.register_buffer("table", None)

    def forward(self, images):
        self.runs += 1
        self.table = torch.arange(8.0)
        return super().forward(images)


class DropoutLeftOn(Backbone):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def train(self, mode=True):
        super().train(mode)
        self.drop.train()
        return self

    def features(self, images):
        return self.drop(super().features(images))


class FunctionalDropout(Backbone):
    def features(self, images):
        return nn.functional.dropout(super().features(images), 0.5)


class RandomNoise(Backbone):
    def features(self, images):
        return super().features(images) + torch.randn(8)


class PythonRandom(Backbone):
    def forward(self, images):
        return super().forward(images) * random.uniform(0.5, 1.5)


class Remembers(Backbone):
    """It mixes what it saw before into its answer."""

    def __init__(self):
        super().__init__()
        self.seen = 0.0

    def features(self, images):
        features = super().features(images)
        self.seen = self.seen + features.mean()
        return features + self.seen
