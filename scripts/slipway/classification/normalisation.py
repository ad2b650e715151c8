"""Check that means and standard deviations are plausible for pixels from 0 to 1."""

from collections.abc import Sequence

# Networks that take pixels from 0 to 255 have a std of 1/255. No network is trained with a far smaller std.
LOWEST_STD = 0.003


def implausible(mean: Sequence[float], std: Sequence[float], prefix: str = "") -> str | None:
    """Return a sentence if `mean` or `std` is wrong for pixels from 0 to 1, with the correction, else None.

    In the sentence, `prefix` stands before "mean" and "std", such as "--" for options.
    """
    of_bytes, twice = "are of pixels from 0 to 255", "were divided by 255 twice"
    rules = (
        ("mean", mean, lambda value: 0 <= value <= 1, "lie between 0 and 1", 255, of_bytes),
        ("std", std, lambda value: 0 < value <= 1, "lie above 0 and not above 1", 255, of_bytes),
        ("std", std, lambda value: value >= LOWEST_STD, f"not lie below {LOWEST_STD:g}", 1 / 255, twice),
    )
    for name, values, holds, rule, divisor, why in rules:
        if all(map(holds, values)):
            continue
        shown, written = f"`{prefix}{name}` is {_listed(values)}", _over(divisor, values)
        if written is None:
            return f"{shown}, but pixels are scaled to 0..1 first, so each value must {rule}"
        return f"{shown}, values that {why}, but pixels are scaled to 0..1 first; write {_listed(written)}"
    return None


def _over(divisor: float, values: Sequence[float]) -> list[float] | None:
    """Convert means or standard deviations for pixels from 0 to `divisor`, such as 255, to pixels from 0 to 1.

    Return None if a result is not from 0 to 1. Also return None if `divisor` is above 1 and a value above 0 is at most
    1, since that value is for pixels from 0 to 1 already.
    """
    divided = [round(value / divisor, 4) for value in values]
    turned = all((value > 1 or value == 0) if divisor > 1 else True for value in values)
    return divided if turned and all(0 <= value <= 1 for value in divided) else None


def _listed(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"
