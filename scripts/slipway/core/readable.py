"""Write numbers as text for sentences, tables and charts."""

import math

# Numbers outside of this range are written with a power of ten.
TINY, HUGE = 1e-6, 1e12


def readable(value: float, digits: int = 4) -> str:
    """Return a number as text with `digits` significant digits, such as "12.35" or "11,430".

    The digits before the decimal point are never rounded away.
    """
    if not TINY <= abs(value) < HUGE:
        return f"{value:.{digits}g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text
