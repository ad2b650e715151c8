"""Check that means and standard deviations are plausible for pixels from 0 to 1."""

from collections.abc import Sequence

# Networks that take pixels from 0 to 255 need 1/255. With far smaller values, no network is trained.
LOWEST_STD = 0.003


def implausible(mean: Sequence[float], std: Sequence[float], prefix: str = "") -> str | None:
    """Return in words why `mean` or `std` is impossible for pixels from 0 to 1, and its correction; None if neither.

    `prefix` precedes "mean" and "std" in the message: the place where the reader wrote them.
    """
    if not all(0 <= value <= 1 for value in mean):
        return _sentence(f"{prefix}mean", mean, "lie between 0 and 1", _over(255, mean))
    if not all(0 < value <= 1 for value in std):
        return _sentence(f"{prefix}std", std, "lie above 0 and not above 1", _over(255, std))
    if not all(value >= LOWEST_STD for value in std):
        return _sentence(
            f"{prefix}std", std, f"not lie below {LOWEST_STD:g}", _over(1 / 255, std), "were divided by 255 twice"
        )
    return None


def _sentence(
    name: str, values: Sequence[float], rule: str, written: list[float] | None, why: str | None = None
) -> str:
    shown = f"`{name}` is {_listed(values)}"
    if written is None:
        return f"{shown}, but pixels are scaled to 0..1 first, so each value must {rule}"
    why = why or "are of pixels from 0 to 255"
    return f"{shown}, values that {why}, but pixels are scaled to 0..1 first; write {_listed(written)}"


def _over(divisor: float, values: Sequence[float]) -> list[float] | None:
    """Return the values divided by `divisor` if this makes all of them possible for pixels from 0 to 1; else None."""
    divided = [round(value / divisor, 4) for value in values]
    turned = all((value > 1 or value == 0) if divisor > 1 else True for value in values)
    return divided if turned and all(0 <= value <= 1 for value in divided) else None


def _listed(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"
