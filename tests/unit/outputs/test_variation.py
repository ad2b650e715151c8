import numpy as np
import pytest

from slipway.core.errors import SlipwayError
from slipway.outputs.variation import errors_of_variation, require_variation, variations, weakness

LIMITS = {"max_relative_error": 0.01}
VARIED = [{"a": np.float32([[number, 1]]), "b": np.int64([3])} for number in range(4)]


def test_each_output_has_its_variation():
    assert variations(VARIED) == {"a": pytest.approx(np.sqrt(5 / 18)), "b": 0}
    assert variations(VARIED[:1]) == {}


def test_an_output_that_is_always_the_same_is_named_as_no_proof():
    said = weakness(variations(VARIED), LIMITS)
    assert "PyTorch's answers to the samples differ in b by 0.0e+00 of their size" in said
    assert weakness({"a": 0.5}, LIMITS) is None
    assert weakness({}, LIMITS) is None


def test_a_model_with_one_output_that_varies_is_accepted_and_one_without_is_refused():
    require_variation(VARIED)
    with pytest.raises(SlipwayError, match="the same answer whatever it is shown"):
        require_variation([{"b": answer["b"]} for answer in VARIED])
    with pytest.raises(SlipwayError, match="answers with zeros, whatever it is shown"):
        require_variation([{"b": 0 * answer["b"]} for answer in VARIED])


def test_answers_of_several_lengths_are_compared_in_their_common_part():
    answers = [{"y": np.ones((1, length, 2))} for length in (3, 5, 4)]
    assert variations(answers) == {"y": 0}
    assert variations([*answers, {"y": np.ones((1, 0, 2))}]) == {}


def test_the_error_of_the_variation_is_by_output():
    swapped = [{"a": answer["a"] * [[-1, 1]], "b": answer["b"]} for answer in VARIED]
    assert errors_of_variation(VARIED, VARIED) == {"a": 0, "b": 0}
    assert errors_of_variation(VARIED, swapped) == {"a": pytest.approx(2), "b": 0}
