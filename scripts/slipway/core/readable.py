"""Numbers in sentences."""


def readable(value: float) -> str:
    """Return a number with four significant digits, or all of a whole part that has more, such as "11,430"."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
