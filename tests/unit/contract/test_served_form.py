"""Inputs get the dtype of an engine where no value changes, and are refused where one would."""

import numpy as np
import pytest

from slipway.contract.contract import Contract, Tensor
from slipway.contract.served_form import as_served, as_stated, cast_exactly
from slipway.core.errors import SlipwayError


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.int64([0, -5, 2**31 - 1]), "int32"),
        (np.int64([0, 1]), "bool"),
        (np.float64([0.5, np.nan, np.inf]), "float16"),
        (np.uint8([0, 255]), "float16"),
        (np.float32([3, -2]), "int64"),
    ],
)
def test_values_that_fit_are_sent_in_the_dtype_of_the_engine(values, dtype):
    found = cast_exactly("ids", values, dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.astype(values.dtype), values)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.int64([2**31]), "int32"),
        (np.int32([-1]), "uint32"),
        (np.int64([-1]), "uint8"),
        (np.uint64([2**63]), "int64"),
        (np.int64([2]), "bool"),
        (np.int64([2**24 + 1]), "float32"),
        (np.float64([0.1]), "float32"),
        (np.float32([0.5]), "int64"),
        (np.float32([np.nan]), "int64"),
        (np.array(["1"]), "int64"),
    ],
)
def test_a_value_that_would_change_is_refused(values, dtype):
    with pytest.raises(SlipwayError, match=rf"takes ids as {dtype}, and values of this .* would change"):
        cast_exactly("ids", values, dtype)


def test_a_request_has_the_order_the_dtypes_and_the_axes_of_the_server():
    inputs = (Tensor("mask", "int32", ("batch", "sequence")), Tensor("lengths", "int32", ("batch",)))
    contract = Contract(inputs, (Tensor("value", "float32", ("batch",)),))
    found = as_served({"lengths": np.int64([2, 1]), "mask": np.ones((2, 2), np.int32)}, contract)
    assert [(name, array.dtype.name, array.shape) for name, array in found.items()] == [
        ("mask", "int32", (2, 2)),
        ("lengths", "int32", (2, 1)),
    ]
    assert as_served(found, contract)["lengths"].shape == (2, 1), "already as the server takes it"
    assert as_stated({"value": np.zeros((2, 1)), "other": np.zeros((2, 1))}, contract)["value"].shape == (2,)
