"""Write documents as PDF. Equal contents give equal bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Table, TableStyle

from slipway.report.palette import LIGHT

TEXT, QUIET, CHOSEN, LIMIT, GRID = (HexColor(LIGHT[name]) for name in ("text", "quiet", "marked", "no", "line"))
MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN
_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=13, textColor=TEXT, spaceAfter=3)
_BOX = {"borderPadding": 5, "leftIndent": 6, "rightIndent": 6, "spaceBefore": 10, "spaceAfter": 16}
STYLES = {
    "title": ParagraphStyle("title", _BODY, fontName="Helvetica-Bold", fontSize=17, leading=21, spaceAfter=2),
    "heading": ParagraphStyle("heading", _BODY, fontName="Helvetica-Bold", fontSize=11, leading=15, spaceBefore=10),
    "body": _BODY,
    "quiet": ParagraphStyle("quiet", _BODY, textColor=QUIET),
    "verdict": ParagraphStyle("verdict", _BODY, backColor=CHOSEN, **_BOX),
    "warning": ParagraphStyle("warning", _BODY, borderColor=LIMIT, borderWidth=1, **_BOX),
    "cell": ParagraphStyle("cell", _BODY, fontSize=8, leading=10, spaceAfter=0),
}
HEADING, CELL, PADDING = ("Helvetica-Bold", 7.5), ("Helvetica", 8), 4
PLAIN, MARKED, REFUSED = "plain", "marked", "refused"
# {kind of a row in a table: style of the cells in this row}
KINDS = {MARKED: ("BACKGROUND", CHOSEN), REFUSED: ("TEXTCOLOR", LIMIT)}


def typeset(path: Path, title: str, story: Sequence[Flowable]) -> None:
    """Write a PDF to `path`, of the flowables in `story`. Each page has its number and the title at its foot."""
    document = SimpleDocTemplate(
        str(path),
        pagesize=A4,
        title=title,
        author="Slipway",
        invariant=True,
        # A frame of reportlab has a padding of 6 points inside its margins.
        **{f"{side}Margin": MARGIN - 6 for side in ("left", "right", "top", "bottom")},
    )
    document.build([paragraph(title, "title"), *story], onFirstPage=_foot, onLaterPages=_foot)


def paragraph(text: str, style: str = "body", bold: str = "") -> Paragraph:
    """Return plain text as a paragraph in a style of STYLES. `bold`, if not empty, comes first, in bold type."""
    return Paragraph((f"<b>{escape(bold)}</b> " if bold else "") + escape(text), STYLES[style])


def together(*flowables: Flowable | None) -> KeepTogether:
    """Return one flowable that keeps the given flowables on one page. None is left out."""
    return KeepTogether([flowable for flowable in flowables if flowable is not None])


def table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], kinds: Sequence[str], texts: dict[int, float]
) -> Table:
    """Return a table as wide as the text of a page. Each page repeats the headings.

    `kinds` has the look of each row: PLAIN, MARKED (coloured background) or REFUSED (coloured text). `texts` are {index
    of a column with text: its share of the width}; a text may have several lines. All other columns have figures, and
    are as wide as their longest figure.
    """
    cells = [[paragraph(cell, "cell") if column in texts else cell for column, cell in enumerate(row)] for row in rows]
    figures = [column for column in range(len(headings)) if column not in texts]
    look = [
        ("FONT", (0, 0), (-1, 0), *HEADING),
        ("FONT", (0, 1), (-1, -1), *CELL),
        ("TEXTCOLOR", (0, 0), (-1, -1), TEXT),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, TEXT),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, GRID),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LEFTPADDING", (0, 0), (-1, -1), PADDING),
        ("RIGHTPADDING", (0, 0), (-1, -1), PADDING),
        *(("ALIGN", (column, 0), (column, -1), "RIGHT") for column in figures),
        *((KINDS[kind][0], (0, row), (-1, row), KINDS[kind][1]) for row, kind in enumerate(kinds, 1) if kind in KINDS),
    ]
    place: dict[str, Any] = {"repeatRows": 1, "hAlign": "LEFT", "spaceBefore": 3, "spaceAfter": 11}
    return Table([list(headings), *cells], column_widths(headings, rows, texts), style=TableStyle(look), **place)


def column_widths(headings: Sequence[str], rows: Sequence[Sequence[str]], texts: dict[int, float]) -> list[float]:
    """Return the width (points) of each column of a table, so that the table is as wide as the text of a page.

    A column of figures is as wide as its longest cell. The columns in `texts`, {index of a column: share}, share the
    remaining width.
    """
    widths = [max(stringWidth(line, *HEADING) for line in heading.split("\n")) + 2 * PADDING for heading in headings]
    for row in rows:
        widths = [max(width, stringWidth(cell, *CELL) + 2 * PADDING) for width, cell in zip(widths, row, strict=True)]
    share = (WIDTH - sum(width for column, width in enumerate(widths) if column not in texts)) / sum(texts.values())
    return [share * texts[column] if column in texts else width for column, width in enumerate(widths)]


def _foot(canvas: Canvas, document: SimpleDocTemplate) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.setFillColor(QUIET)
    canvas.drawString(MARGIN, 10 * mm, document.title)
    canvas.drawRightString(A4[0] - MARGIN, 10 * mm, f"page {document.page}")
