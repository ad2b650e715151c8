"""The colours of charts and documents, on white. Colour-blind readers can tell those of SERIES apart."""

TEXT, QUIET, GRID = "#1c2127", "#5c6672", "#d9dee4"
CHOSEN, LIMIT = "#dff3e8", "#c62a2f"
SERIES = ("#0b6bcb", "#d9580d", "#0a8f6c", "#a4509a", "#b08900", "#3aa3d6")
# Of everything beyond those of SERIES.
OTHERS = "#9aa5b1"
