"""Shares that look like percentages, and percentages that look like shares: a notice, since some are meant."""

import pytest
from helpers.artifacts.configured import resolved

from slipway.keys.notices import notices
from slipway.keys.share_notices import share_notices

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

NOTICES = {
    "`regression.latency` is 10, which allows 1,000 %; 10 % is written 0.1": {"regression": {"latency": 10}},
    "`regression.top1` is 1, which allows 100 %; 1 % is written 0.01": {"regression": {"top1": 1}},
    "`load_test.max_accuracy_loss` is 1, which allows 100 %; 1 % is written 0.01": {
        "load_test": {"max_accuracy_loss": 1}
    },
    "`tensorrt.max_slowdown` is 5, which allows 500 %; 5 % is written 0.05": {"tensorrt": {"max_slowdown": 5}},
    "`targets.cpu.tensorrt.max_slowdown` is 2.5, which allows 250 %; 2.5 % is written 0.025": {
        "targets": {"cpu": {"tensorrt": {"max_slowdown": 2.5}}}
    },
    "`accuracy.limits.fp16.max_relative_error` is 2, which allows 200 %; 2 % is written 0.02": {
        "accuracy": {"limits": {"fp16": {"max_relative_error": 2}}}
    },
    "`models.m.accuracy.limits.int8.max_top1_drop` is 1, which allows 100 %; 1 % is written 0.01": {
        "models": {"m": {"accuracy": {"limits": {"int8": {"max_top1_drop": 1}}}}}
    },
    "`load_test.stability_percent` is 0.1, which is 0.1 %; 10 % is written 10": {
        "load_test": {"stability_percent": 0.1}
    },
    "`deploy.cluster.gpu_memory_margin` is 20, which is 20 times what the load test took; 20 % more is written 1.2": {
        "deploy": {"cluster": {"gpu_memory_margin": 20}}
    },
}


@pytest.mark.parametrize("notice", NOTICES)
def test_a_share_that_looks_like_a_percentage_is_told(notice):
    found = resolved(**NOTICES[notice])
    assert list(share_notices(found.config)) == [notice]
    assert notice in list(notices(found))


def test_shares_below_one_and_the_defaults_are_not_told():
    limits = {"regression": {"latency": 0.99, "throughput": 0.5}, "load_test": {"stability_percent": 5}}
    assert list(share_notices(resolved(**limits).config)) == []
    assert list(share_notices(resolved().config)) == []
