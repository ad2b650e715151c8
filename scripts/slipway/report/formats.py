"""Format measurements as text with units, for the cells of the report's tables.

For an unknown value, None, the text is "-" or None, which gives an empty cell.
"""

import datetime
from collections.abc import Sequence

# {key of an agreement: words after its value}. An accuracy record has the key that fits its outputs.
AGREEMENTS = {"top1_agreement": "", "decision_agreement": "", "equal_values": " of values"}


def megabytes(size: int) -> str:
    """Return a number of bytes as text in MB (10^6 bytes), such as "102.5 MB"."""
    return f"{size / 1e6:.1f} MB"


def milliseconds(value: float | None) -> str:
    """Return a time in ms as text, with three decimals below 1 ms, two below 100 ms, none above; "-" if unknown."""
    if value is None:
        return "-"
    return f"{value:.3f} ms" if value < 1 else f"{value:.2f} ms" if value < 100 else f"{value:,.0f} ms"


def percent(share: float | None) -> str | None:
    """Return a share (0..1) as text in percent, such as "97.3%"; None for None."""
    return None if share is None else f"{share:.1%}"


def layers(counts: dict[str, int]) -> str:
    """Return the numbers of an engine's layers, {precision: number}, as text, such as "54 fp16, 2 fp32"."""
    return ", ".join(f"{count} {precision}" for precision, count in counts.items())


def agreement(figures: dict, limit: float) -> str | None:
    """Return as text the share of decisions or integers that are equal in PyTorch and the engine, with its limit.

    `figures` are an output's figures in the record of check_accuracy.py, `limit` is the lowest share (0..1) allowed.
    Returns None if the figures have no such share.
    """
    shares = (f"{figures[name]:.1%}{words}" for name, words in AGREEMENTS.items() if name in figures)
    return next((f"{share} (at least {limit:.0%})" for share in shares), None)


def largest_error(onnx_record: dict) -> str | None:
    """Return the largest relative error of an ONNX file as text, such as "1.2e-07"; None if no error was measured.

    `onnx_record` is the record of the program that made the file. The FP32 file was compared with PyTorch, at several
    sizes. Any other file was compared with the FP32 file.
    """
    agreed = onnx_record["agreement"]
    agreements = (agreed or {}).values() if onnx_record["variant"] == "fp32" else [agreed]
    errors = [figures["relative_error"] for figures in agreements if figures and "relative_error" in figures]
    return f"{max(errors):.1e}" if errors else None


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 input" or "3 inputs"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def moment(time: str | None) -> str | None:
    """Return a time in ISO 8601 as text in UTC, such as "29 November 2026, 12:03 UTC"; None for None."""
    return f"{_parsed(time):%-d %B %Y, %H:%M} UTC" if time else None


def days(times: Sequence[str]) -> list[str]:
    """Return the day of each time (ISO 8601) in UTC, such as "29 Nov", for an axis.

    If several times have the same day, the hour is added, such as "29 Nov 12:03".
    """
    moments = list(map(_parsed, times))
    days = [f"{time:%-d %b}" for time in moments]
    return [f"{time:%-d %b %H:%M}" if days.count(day) > 1 else day for day, time in zip(days, moments, strict=True)]


def _parsed(time: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(time).astimezone(datetime.UTC)
