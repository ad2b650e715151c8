"""Numbers in sentences."""


def readable(value: float) -> str:
    """Return a number as text with four significant digits. A larger whole part is shown in full, such as "11,430"."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
