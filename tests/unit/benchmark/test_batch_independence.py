import numpy as np
import pytest

from slipway.benchmark.batch_independence import IN_32_BITS, batch_distances, dependence, tolerance_of
from slipway.benchmark.batch_neighbours import batch_neighbours
from slipway.contract.contract import BATCH, Axis, Contract, Normalisation, Tensor
from slipway.core.errors import SlipwayError

CONTRACT = Contract((Tensor("x", "float32", (BATCH, 3, 8)),), (Tensor("y", "float32", (BATCH, 2)),))
SAMPLES = [{"x": np.random.default_rng(0).standard_normal((1, 3, 8), dtype=np.float32)}]


def distances(answer, **options):
    """Return the distances of the answers (N, 2) of a function of x."""
    return batch_distances(lambda inputs: {"y": answer(inputs["x"])}, CONTRACT, SAMPLES, **options)


def own(x):
    return np.stack([x.mean((1, 2)), x.std((1, 2))], axis=1)


def test_answers_of_their_own_depend_on_nothing():
    found = distances(own)
    rounding = pytest.approx(0, abs=1e-6)
    assert found == {"batches": [2, 4], "by_size": rounding, "by_neighbours": 0, "by_padding": None}
    assert dependence(found, IN_32_BITS) is None


def test_a_few_percent_are_a_dependence_in_any_precision():
    found = distances(lambda x: 0.95 * own(x) + 0.05 * own(x).mean(0))
    for limit in (0.001, 0.01, 0.1, 0.3):  # from fp32 to int8
        assert "depends on its neighbours" in dependence(found, tolerance_of({"max_relative_error": limit}))


def test_rows_in_another_order_are_a_dependence():
    assert dependence(distances(lambda x: own(x)[::-1]), tolerance_of({"max_relative_error": 0.3}))


def test_only_batches_that_are_taken_are_asked_for():
    asked = []

    def answer(x):
        asked.append(len(x))
        return np.ones((len(x), 2))

    assert distances(answer, takes=lambda size: size <= 2)["batches"] == [2]
    assert max(asked) == 2
    assert distances(answer, takes=lambda size: size <= 1)["batches"] == []


def test_an_answer_that_is_not_finite_beside_other_samples_is_a_dependence():
    found = distances(lambda x: np.full((len(x), 2), 1.0 if len(x) == 1 else np.nan))
    assert "depends on" in dependence(found, IN_32_BITS)


def test_zeros_alone_and_something_beside_other_samples_is_a_dependence():
    found = distances(lambda x: np.full((len(x), 2), float(len(x) > 1)))
    assert "depends on the size of the batch" in dependence(found, IN_32_BITS)
    assert dependence(distances(lambda x: np.zeros((len(x), 2))), IN_32_BITS) is None


def test_fewer_answers_than_samples_are_told():
    with pytest.raises(SlipwayError, match="a batch of 2 samples is answered with 1 rows of y"):
        distances(lambda x: np.ones((1, 2)))


def test_without_a_batch_axis_nothing_is_compared():
    contract = Contract((Tensor("x", "float32", (3,)),), (Tensor("y", "float32", (3,)),))
    assert batch_distances(lambda inputs: 1 / 0, contract, [{"x": np.ones(3)}])["batches"] == []


TWO = Contract(
    (Tensor("x", "float32", (BATCH, 3, 8)),),
    (Tensor("y", "float32", (BATCH, 2)), Tensor("found", "int64", (BATCH,)), Tensor("boxes", "float32", (BATCH, None))),
)


def answers_of_two(x, found=lambda x: x.mean((1, 2)).round(), boxes=1.0):
    """Return three outputs; the boxes are as many as the largest number in the batch."""
    return {"y": own(x), "found": found(x).astype(np.int64), "boxes": np.full((len(x), len(x)), boxes)}


def test_the_worst_output_decides():
    assert dependence(batch_distances(lambda inputs: answers_of_two(inputs["x"]), TWO, SAMPLES), IN_32_BITS) is None
    shared = lambda x: x.mean((1, 2)).round() + x.sum()  # noqa: E731
    found = batch_distances(lambda inputs: answers_of_two(inputs["x"], shared), TWO, SAMPLES)
    assert "depends on its neighbours" in dependence(found, IN_32_BITS)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_neighbours_are_always_the_same_and_unlike_each_other(dtype):
    contract = Contract((Tensor("x", dtype, (BATCH, 3, 32, 32)),), ())
    sample = {"x": (255 * np.random.default_rng(0).uniform(size=(1, 3, 32, 32))).astype(dtype)}
    first, again = batch_neighbours(contract, [sample]), batch_neighbours(contract, [sample])
    assert all(each["x"].shape == (1, 3, 32, 32) and each["x"].dtype == dtype for each in first)
    assert all(np.array_equal(one["x"], other["x"]) for one, other in zip(first, again, strict=True))
    means = sorted(each["x"].mean() / np.ptp(sample["x"]) for each in first)
    assert means[-1] - means[0] > 0.7
    assert min(each["x"].std() for each in first) > 0


AXES = {"sequence": Axis(1, 6, 12)}
TEXT = Contract(
    (
        Tensor("ids", "int64", (BATCH, "sequence"), pad=0),
        Tensor("mask", "bool", (BATCH, "sequence"), pad=0),
        Tensor("kind", "uint8", (BATCH,)),
    ),
    (Tensor("tokens", "float32", (BATCH, "sequence", 2)), Tensor("mean", "float32", (BATCH, 1))),
    AXES,
)


def text(*ids):
    ids = np.array([ids])
    return {"ids": ids, "mask": ids < 90, "kind": np.uint8([7])}


TEXTS = [text(11, 22, 33, 44, 95, 96), text(51, 52, 53, 54, 55, 97)]


def test_neighbours_of_integers_have_real_values_in_one_other_order():
    found = batch_neighbours(TEXT, TEXTS)
    for neighbour, of in zip(found, [TEXTS[1], TEXTS[0], TEXTS[1], TEXTS[0]], strict=True):
        assert sorted(neighbour["ids"][0]) == sorted(of["ids"][0])
        assert ((neighbour["ids"] < 90) == neighbour["mask"]).all()
        assert neighbour["kind"] == [7]
    assert len({tuple(each["ids"][0]) for each in [*found, *TEXTS]}) == 6


def test_pixels_with_a_normalisation_are_noise_and_bytes_are_not():
    pixels = Tensor("pixels", "uint8", (BATCH, 3), normalisation=Normalisation((0.5,) * 3, (0.5,) * 3))
    contract = Contract((pixels, Tensor("bytes", "uint8", (BATCH, 3))), ())
    (first, *_) = batch_neighbours(contract, [{"pixels": np.uint8([[1, 2, 3]]), "bytes": np.uint8([[1, 2, 3]])}])
    assert sorted(first["bytes"][0]) == [1, 2, 3]
    assert first["pixels"].max() > 100


def read(inputs, masked=True):
    """Answer the mean of the tokens, and each token twice; with the mask the padding counts nothing."""
    ids, mask = inputs["ids"].astype(np.float32), inputs["mask"] if masked else np.ones_like(inputs["mask"])
    mean = (ids * mask).sum(1, keepdims=True) / np.maximum(mask.sum(1, keepdims=True), 1)
    return {"tokens": np.stack([ids + mean, ids], axis=2), "mean": mean}


@pytest.mark.parametrize("samples", [TEXTS[:1], [*TEXTS, text(1, 2), text(*range(1, 10))]])
def test_padding_that_the_model_masks_changes_no_answer(samples):
    found = batch_distances(read, TEXT, samples)
    assert found["by_padding"] < 1e-6
    assert dependence(found, IN_32_BITS) is None


@pytest.mark.parametrize("samples", [TEXTS[:1], [*TEXTS, text(1, 2), text(*range(1, 10))]])
def test_padding_that_counts_in_the_answer_is_told(samples):
    found = batch_distances(lambda inputs: read(inputs, masked=False), TEXT, samples)
    assert found["by_neighbours"] == 0
    assert "depends on its padding" in dependence(found, IN_32_BITS)
    assert "leave `pad` out" in dependence(found, IN_32_BITS)


def test_without_pad_samples_of_other_sizes_are_never_put_together():
    without = Contract(tuple(Tensor(each.name, each.dtype, each.shape) for each in TEXT.inputs), TEXT.outputs, AXES)
    assert batch_distances(lambda inputs: read(inputs, masked=False), without, TEXTS)["by_padding"] is None
