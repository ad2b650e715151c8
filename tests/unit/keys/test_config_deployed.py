"""What of a configuration could not be deployed, told before anything is built."""

import pytest

from slipway.core.errors import SlipwayError
from slipway.keys.config import complete


def completed(models=("m",), targets=("cpu",), **deploy):
    return complete(
        {"models": {name: {} for name in models}, "targets": {name: {} for name in targets}, "deploy": deploy}
    )


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"models": ["a_b", "c", "A-b"]}, "`models.a_b` and `models.A-b` are both a-b in Kubernetes"),
        (
            {"models": ["a", "a-b"], "targets": ["c", "b_c"]},
            "`models.a` on `targets.b_c` and `models.a-b` on `targets.c`",
        ),
        ({"targets": ["L4", "l4"]}, "`models.m` on `targets.L4` and `models.m` on `targets.l4` are both m-l4"),
    ],
)
def test_names_that_are_one_in_kubernetes_are_refused(names, told):
    with pytest.raises(SlipwayError) as caught:
        completed(**names)
    assert told in str(caught.value)
    assert str(caught.value).endswith("rename one")


def test_names_that_differ_in_kubernetes_are_taken():
    assert completed(["a", "ab", "a-b"], ["cpu", "l4", "l40"])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"models": ["a", "b"]}, "each of the models a, b would listen at the same ports"),
        ({"host": "localhost"}, "`deploy.host` is 'localhost', but compose takes an IP address"),
    ],
)
def test_what_compose_would_only_find_out_later_is_refused(settings, told):
    with pytest.raises(SlipwayError, match=told):
        completed(**settings, to="compose")
    assert completed(**settings, to="local")
    assert completed(to="compose", host="10.0.0.7")
