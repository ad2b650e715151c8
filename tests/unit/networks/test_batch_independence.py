import pytest
import torch
import torchvision
from helpers.models import batch_networks
from helpers.models.random_images import random_batch
from helpers.models.served_pictures import contract_of, served
from torch import nn

from slipway.benchmark.batch_independence import IN_32_BITS, batch_distances, dependence
from slipway.core.errors import SlipwayError
from slipway.networks.batch_independence import require_batch_independence


def distances_of(model):
    return require_batch_independence(*served(model, 32))


def network(name):
    torch.manual_seed(0)
    return getattr(batch_networks, name)().eval()


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("NoStatistics", "`norm` (BatchNorm2d), which normalises over the batch, since it has no running statistics"),
        ("TrainMode", "`norm` (BatchNorm2d), which normalises over the batch, since it is in train mode"),
        ("OwnNorm", "`norm` (OverBatch, "),
        ("SoftmaxOverBatch", "`weigh` (Softmax)"),
        ("MeanOverBatch", "the network's own forward (MeanOverBatch, "),
        ("SortedBatch", "the network's own forward (SortedBatch, "),
        ("SumSoFar", "the network's own forward (SumSoFar, "),
        ("AttentionOverBatch", "`attention` (MultiheadAttention)"),
        ("BatchSize", "the network's own forward (BatchSize, "),
        ("LargeBatch", ""),
    ],
)
def test_a_network_that_answers_by_its_neighbours_is_refused_with_the_module(name, where):
    with pytest.raises(SlipwayError, match=r"depends on (its neighbours|the size of the batch)") as caught:
        distances_of(network(name))
    assert not where or f"beginning in {where}" in str(caught.value)
    if where.endswith(", "):
        assert "batch_networks.py:" in str(caught.value)


class ChangesItsInput(batch_networks.Backbone):
    def forward(self, images):
        return super().forward(images.mul_(2))


def test_a_network_that_changes_its_input_in_place_answers_alike_and_leaves_the_samples_as_they_are():
    torch.manual_seed(0)
    network, contract, samples = served(ChangesItsInput(), 32)
    before = samples[0]["input"].copy()
    require_batch_independence(network, contract, samples)
    assert (samples[0]["input"] == before).all()


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("DropoutLeftOn", "dropout is still in train mode in drop (Dropout)"),
        ("FunctionalDropout", "it draws random numbers"),
        ("RandomNoise", "beginning in the network's own forward (RandomNoise, "),
        ("PythonRandom", "beginning in the network's own forward (PythonRandom, "),
        ("Remembers", "or remembers earlier requests"),
    ],
)
def test_a_network_that_answers_at_random_is_refused_with_its_cause(name, cause):
    with pytest.raises(SlipwayError, match="two runs of the network answer the same sample differently") as caught:
        distances_of(network(name))
    assert cause in str(caught.value)


def test_a_running_average_that_goes_on_in_eval_mode_is_refused_by_its_name():
    with pytest.raises(
        SlipwayError, match="remembers earlier requests in eval mode: each run changes its buffers mean"
    ):
        distances_of(network("RunningMean"))


def test_a_counter_and_a_table_of_the_first_run_are_no_memory():
    assert distances_of(network("CountsItsRuns"))["by_neighbours"] == 0


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_each_picture_by_itself_is_accepted(input_dtype):
    sample, answer = random_batch(input_dtype, 1, 32), _answers_of(network("Independent"))
    found = batch_distances(
        lambda inputs: {"logits": answer(inputs["input"])}, contract_of(32, dtype=input_dtype), [{"input": sample}]
    )
    assert found["batches"] == [2, 4]
    assert found["by_neighbours"] <= found["by_size"] < 1e-5
    assert dependence(found, IN_32_BITS) is None


def _answers_of(model):
    return lambda batch: model(torch.from_numpy(batch).float()).detach().numpy()


def test_torchvisions_classifiers_answer_each_picture_by_itself():
    model = torchvision.models.shufflenet_v2_x0_5(num_classes=5).eval()
    assert distances_of(model)["by_size"] < 1e-4


def test_attention_over_the_patches_of_a_picture_is_accepted():
    model = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5).eval()
    assert distances_of(model)["by_size"] < 1e-4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rounding_in_16_bits_is_no_dependence(dtype):
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network("Independent").to(dtype)

        def forward(self, images):
            return self.network(images.to(dtype)).float()

    distances_of(Half())


def test_a_network_that_makes_its_answer_from_rounding_errors_is_told_so():
    torch.manual_seed(0)
    chaotic = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 256), *(ChaoticLayer() for _ in range(6)))
    with pytest.raises(SlipwayError, match=r"of its answer from rounding errors: .* equal if computed in 64 bits"):
        distances_of(chaotic)


class ChaoticLayer(nn.Module):
    """A layer that multiplies small differences and keeps the norm."""

    def __init__(self):
        super().__init__()
        self.mixed = nn.Linear(256, 256)

    def forward(self, x):
        return torch.sin(40 * self.mixed(x))
