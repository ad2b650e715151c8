"""Means and deviations of another scale are told with the values to write."""

import pytest

from predict import parse_arguments as of_predict
from predict import require_sensible
from slipway.classification.normalisation import implausible
from slipway.core.errors import SlipwayError
from slipway.keys.config import complete

IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        IMAGENET,
        ([0.5] * 3, [0.5] * 3),
        ([0, 0, 0], [1, 1, 1]),
        ([0, 0, 0], [1 / 255] * 3),  # a network that takes 0..255
        ([0.498] * 3, [0.502] * 3),
        ([0.1307] * 3, [0.3081] * 3),
        ([1, 1, 1], [1, 1, 1]),
    ],
)
def test_what_networks_are_trained_with_is_plausible(mean, std):
    assert implausible(mean, std) is None


WRONG = [
    (IMAGENET[0], [255, 255, 255], "std` is [255, 255, 255], values that are of pixels from 0 to 255", "[1, 1, 1]"),
    ([123.675, 116.28, 103.53], IMAGENET[1], "mean` is [123.675, 116.28, 103.53]", "[0.485, 0.456, 0.406]"),
    (IMAGENET[0], [58.395, 57.12, 57.375], "std` is [58.395, 57.12, 57.375]", "[0.229, 0.224, 0.225]"),
    ([127.5] * 3, [127.5] * 3, "mean` is [127.5, 127.5, 127.5]", "[0.5, 0.5, 0.5]"),
    ([127, 0, 0], [1, 1, 1], "mean` is [127, 0, 0]", "[0.498, 0, 0]"),
    ([0, 0, 0], [0.229 / 255] * 3, "divided by 255 twice", "[0.229, 0.229, 0.229]"),
    ([0.485, 0.456, 40], IMAGENET[1], "so each value must lie between 0 and 1", None),
    ([-0.485, 0.456, 0.406], IMAGENET[1], "so each value must lie between 0 and 1", None),
    (IMAGENET[0], [0.229, 2.24, 0.225], "so each value must lie above 0 and not above 1", None),
    (IMAGENET[0], [4096, 4096, 4096], "so each value must lie above 0 and not above 1", None),
]


@pytest.mark.parametrize(("mean", "std", "said", "written"), WRONG)
def test_another_scale_is_refused_while_planning_with_the_values_to_write(mean, std, said, written):
    config = {"models": {"m": {"preprocess": {"mean": mean, "std": std}}}, "targets": {"cpu": {}}}
    with pytest.raises(SlipwayError) as caught:
        complete(config)
    assert str(caught.value).startswith("config: `models.m.preprocess.")
    assert said in str(caught.value)
    assert str(caught.value).endswith(f"write {written}") == (written is not None)


def test_predict_refuses_another_scale_too():
    arguments = of_predict(["--mean", "123.675", "116.28", "103.53", "--std", "58.395", "57.12", "57.375"])
    with pytest.raises(SlipwayError, match=r"`--mean` is .*write \[0\.485, 0\.456, 0\.406\]"):
        require_sensible(arguments)
