import numpy as np
import pytest
import torch
from helpers.models.batch_networks import Backbone
from helpers.models.random_images import random_batch
from torch import nn

from slipway.classification.logits import logits_of
from slipway.core.errors import SlipwayError


class Flattened(nn.Module):
    """It takes pictures of one size, as all that flatten their features do."""

    def __init__(self, side=32):
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 4, 4)
        self.head = nn.Linear(2 * (side // 4) ** 2, 5)

    def forward(self, images):
        return self.head(self.stem(images).flatten(1))


class ChecksSize(Backbone):
    def forward(self, images):
        assert images.shape[-1] == 96, f"Wrong image height! Expected 96 but got {images.shape[-1]}!"
        return super().forward(images)


class FixedBatch(Backbone):
    def forward(self, images):
        return self.head(self.features(images).view(1, 8))


class FixedLargeBatch(Backbone):
    def forward(self, images):
        return self.head(self.features(images).view(4, 8))


class Grey(Backbone):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3)


class MisspeltName(Backbone):
    def forward(self, images):
        return self.classifier(self.features(images))


class MissingKey(Backbone):
    def forward(self, images):
        return self.head({"pooled": self.features(images)}["features"])


class SecondInput(Backbone):
    def forward(self, images, mask):
        return super().forward(images * mask)


class WrongShape(Backbone):
    def forward(self, images):
        return self.head(self.features(images).reshape(-1, 7))


class AsksForGpu(Backbone):
    def forward(self, images):
        return super().forward(images.cuda())


class NeedsPackage(Backbone):
    def forward(self, images):
        import no_such_package

        return no_such_package.twist(super().forward(images))


class DropsRows(Backbone):
    def forward(self, images):
        features = self.features(images)
        return self.head(features[1:])


class Answering(Backbone):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, images):
        return super().forward(images).to(self.dtype)


def refusal(network, images):
    torch.manual_seed(0)
    with pytest.raises(SlipwayError) as caught:
        logits_of(network.eval(), images)
    return str(caught.value)


@pytest.mark.parametrize(("network", "size"), [(Flattened(), 32), (Flattened(100), 100), (ChecksSize(), 96)])
def test_the_crop_is_named_where_another_size_is_taken(network, size):
    said = refusal(network, random_batch("float32", 1, 64))
    assert f"though it takes inputs of {size} x {size}; correct the samples (`preprocess.crop`" in said


@pytest.mark.parametrize(
    ("network", "cause"),
    [
        (Grey(), "it takes 1 channels, and the input has 3"),
        (MisspeltName(), "has no attribute 'classifier') at "),
        (MissingKey(), "(KeyError: 'features') at "),
        (SecondInput(), "its forward takes images, mask"),
        (WrongShape(), "test_forward_failures.py:"),
        (AsksForGpu(), "it asks for a GPU by itself"),
        (NeedsPackage(), "it needs the package no_such_package; install it"),
        (Backbone().double(), "its weights are float64, and its inputs float32"),
        (Backbone().half(), "its weights are float16, and its inputs float32"),
        (Backbone().bfloat16(), "its weights are bfloat16, and its inputs float32"),
    ],
    ids=lambda case: type(case).__name__ if isinstance(case, nn.Module) else "",
)
def test_the_crop_is_not_blamed_for_another_cause(network, cause, monkeypatch):
    monkeypatch.setattr("slipway.networks.forward_failures.SEARCH_S", 0.5)
    said = refusal(network, random_batch("float32", 1, 32))
    assert cause in said
    assert "preprocess.crop" not in said


@pytest.mark.parametrize(
    ("network", "batch", "taken"), [(FixedBatch(), 4, "a single sample"), (FixedLargeBatch(), 1, "a batch of 4")]
)
def test_a_batch_size_that_is_fixed_in_the_code_is_told_with_its_line(network, batch, taken):
    said = refusal(network, random_batch("float32", batch, 32))
    assert f"though it takes {taken}: its code fixes the size of the batch" in said
    assert ": return self.head(self.features(images).view(" in said


def test_statistics_of_a_single_sample_are_told_as_such_and_not_as_a_fixed_batch_size():
    """In PyTorch's words: Expected more than 1 value per channel when training."""
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3 * 4 * 4, track_running_stats=False))
    said = refusal(network, random_batch("float32", 1, 4))
    assert "it normalises by the statistics of the batch" in said
    assert "fixes the size" not in said


def test_rows_that_are_dropped_are_told():
    assert "a batch of 3 with an output logits of shape (2, 5), not with one row for each sample" in refusal(
        DropsRows(), random_batch("float32", 3, 32)
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_logits_of_other_widths_are_read_as_float32(dtype):
    logits = logits_of(Answering(dtype).eval(), random_batch("float32", 2, 32))
    assert (logits.dtype, logits.shape) == (np.float32, (2, 5))


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (torch.int64, "int64, which are whole numbers"),
        (torch.bool, "bool, which are"),
        (torch.complex64, "complex numbers"),
    ],
)
def test_answers_that_are_no_scores_are_refused(dtype, kind):
    assert kind in refusal(Answering(dtype), random_batch("float32", 1, 32))
