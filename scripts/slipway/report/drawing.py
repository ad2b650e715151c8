"""A drawing of lines, boxes, marks and texts: in a web page, as an SVG file, or in a PDF (see `pdf_drawing`).

In a web page and in a file, text stays text. Elements have a <title>, which browsers show while the pointer is over
them. Matplotlib's SVG of the same charts is four to five times as large, has no such titles, and only one set of
colours.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup
from reportlab.pdfbase.pdfmetrics import stringWidth

from slipway.core.templates import document
from slipway.report.palette import LIGHT, LOOKS

# {element of SVG: the attributes for its numbers}. Any other element has coordinates of points.
ATTRIBUTES = {
    "line": ("x1", "y1", "x2", "y2"),
    "rect": ("x", "y", "width", "height"),
    "circle": ("cx", "cy", "r"),
    "text": ("x", "y"),
}
MARGIN = 8
# The corners of each form of mark, of size 1; () is a circle. Each series has a form, for readers without colours.
SHAPES: tuple[tuple[tuple[float, float], ...], ...] = (
    (),
    (),
    ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    ((0, -1.1), (1.05, 0.8), (-1.05, 0.8)),
    ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
    ((-1.05, -0.8), (1.05, -0.8), (0, 1.1)),
    ((-0.4, -1.1), (0.4, -1.1), (0.4, -0.4), (1.1, -0.4), (1.1, 0.4), (0.4, 0.4), (0.4, 1.1), (-0.4, 1.1))
    + ((-0.4, 0.4), (-1.1, 0.4), (-1.1, -0.4), (-0.4, -0.4)),
)
UP, DOWN = 3, 5  # the triangles in SHAPES


@dataclass(frozen=True)
class Element:
    """One element of a drawing, as in SVG. `tag` is its name in SVG, `numbers` are its coordinates as in ATTRIBUTES.

    `look` has names of LOOKS, separated by spaces. `text` is the text of a text element, or the text that another
    element shows under the pointer. `anchor` is "start", "middle" or "end" for a text element, "" for another.
    """

    tag: str
    look: str
    numbers: tuple[float, ...]
    text: str = ""
    anchor: str = ""

    @property
    def attributes(self) -> dict[str, str | None]:
        """Return {attribute of SVG: value or None} of the element: its coordinates, and the anchor of a text."""
        numbers = list(map(short, self.numbers))
        points = " ".join(map(",".join, zip(numbers[::2], numbers[1::2], strict=False)))
        names = ATTRIBUTES.get(self.tag)
        placed = dict(zip(names, numbers, strict=True)) if names else {"points": points}
        return {**placed, "text-anchor": self.anchor or None}


@dataclass
class Drawing:
    """A drawing of `width` x `height` units; y goes downwards.

    `title` and `description` are for people who do not see the drawing.
    """

    title: str
    description: str
    width: float
    height: float
    elements: list[Element] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, look: str, hover: str = "") -> None:
        """Add a straight line. `look` has names of LOOKS; `hover` is the text under the pointer."""
        self.elements.append(Element("line", look, (x1, y1, x2, y2), hover))

    def box(self, x: float, y: float, width: float, height: float, look: str, hover: str = "") -> None:
        """Add a rectangle with the upper left corner (x, y).

        `look` has names of LOOKS; `hover` is the text under the pointer.
        """
        self.elements.append(Element("rect", look, (x, y, max(width, 0.5), height), hover))

    def path(self, points: Sequence[tuple[float, float]], look: str) -> None:
        """Add a line that joins points (x, y). `look` has names of LOOKS."""
        self.elements.append(Element("polyline", look, tuple(value for point in points for value in point)))

    def mark(self, x: float, y: float, look: str, shape: int = 0, size: float = 5, hover: str = "") -> None:
        """Add a mark, such as the point of a measurement, at (x, y).

        `shape` is the index of its form in SHAPES. `look` has names of LOOKS; `hover` is the text under the pointer.
        """
        corners = tuple(value for across, down in SHAPES[shape] for value in (x + size * across, y + size * down))
        tag, numbers = ("polygon", corners) if corners else ("circle", (x, y, size * 0.9))
        self.elements.append(Element(tag, look, numbers, hover))

    def text(self, x: float, y: float, content: str, look: str = "plain", anchor: str = "start") -> None:
        """Add a line of text at (x, y), unless it is empty.

        `anchor` is the part of the text at x: "start", "middle" or "end".
        """
        if content:
            self.elements.append(Element("text", look, (x, y), content, anchor))

    def markup(self) -> Markup:
        """Return the <svg> element for a web page. The CSS of the page must have the `rules`, and set the colours."""
        return Markup(self._svg(0, ()))

    def file(self) -> str:
        """Return the text of an SVG file, with its own CSS. Its background is white with a margin, for dark pages."""
        ground = Element("rect", "ground", (-MARGIN, -MARGIN, self.width + 2 * MARGIN, self.height + 2 * MARGIN))
        return self._svg(MARGIN, [ground], rules(LIGHT.__getitem__)) + "\n"

    def _svg(self, margin: float, before: Sequence[Element], rules: str = "") -> str:
        content = repr(
            (self.title, self.description, [(element.attributes, element.text) for element in self.elements])
        )
        values = {
            "drawing": self,
            "elements": [*before, *self.elements],
            "frame": (-margin, -margin, self.width + 2 * margin, self.height + 2 * margin),
            "name": "d" + hashlib.sha256(content.encode()).hexdigest()[:10],
            "rules": rules,
        }
        return document(Path(__file__).with_name("drawing.svg.j2"), values, short=short).rstrip()


def sentence(text: str) -> Drawing:
    """Return a drawing that only has a sentence, in place of a chart."""
    drawing = Drawing(text, text, text_width(text), 24)
    drawing.text(0, 16, text)
    return drawing


def rules(colour: Callable[[str], str]) -> str:
    """Return CSS rules for the looks in LOOKS.

    `colour` is a function from the name of a colour in palette.yaml to its value in CSS.
    """

    def rule(key: str, value: str | float) -> str:
        text = f"{value}px" if key in ("font-size", "rx") else str(value)
        return f"{key}: {'currentColor' if text == 'own' else colour(text) if text in LIGHT else text};"

    rules = {name: " ".join(rule(*entry) for entry in look.items()) for name, look in LOOKS.items()}
    return "\n".join(f"svg.drawing .{name} {{ {rule} }}" for name, rule in rules.items())


def style_of(look: str) -> dict[str, str | float]:
    """Return {property of SVG: value} of a look, which may have several names of LOOKS, separated by spaces.

    Colours are those of light pages, as #rrggbb.
    """
    names = look.split()
    style = {key: value for name, properties in LOOKS.items() if name in names for key, value in properties.items()}
    own = style.get("color", "text")
    return {key: LIGHT.get(str(own if value == "own" else value), value) for key, value in style.items()}


def text_width(text: str, look: str = "plain") -> float:
    """Return the width of a line of text in Helvetica with this look, in units of a drawing."""
    style = style_of(look)
    return stringWidth(text, "Helvetica-Bold" if "font-weight" in style else "Helvetica", float(style["font-size"]))


def short(value: float) -> str:
    """Return a coordinate as text with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")
