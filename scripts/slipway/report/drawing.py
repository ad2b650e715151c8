"""A drawing of lines, boxes, marks and texts: in a page, as an SVG file, or (`pdf_drawing`) in a document.

In a page and in a file, text stays text. Elements have a <title>, which browsers show while the pointer is over them.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup
from reportlab.pdfbase.pdfmetrics import stringWidth

from slipway.report.palette import LIGHT, LOOKS

# {element of SVG: the attributes for its numbers}. The numbers of other elements are coordinates of points.
ATTRIBUTES = {
    "line": ("x1", "y1", "x2", "y2"),
    "rect": ("x", "y", "width", "height"),
    "circle": ("cx", "cy", "r"),
    "text": ("x", "y"),
}
MARGIN = 8
# The corners of each mark, of size 1; () is a circle. Series differ by them, too, for readers without colours.
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
    """One element of SVG: its numbers as in ATTRIBUTES, the names of its look, and its text or text under hover."""

    tag: str
    look: str
    numbers: tuple[float, ...]
    text: str = ""
    anchor: str = ""


@dataclass
class Drawing:
    """A drawing of `width` x `height` units, y downwards. Title and description are for people who do not see it."""

    title: str
    description: str
    width: float
    height: float
    elements: list[Element] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, look: str, hover: str = "") -> None:
        """Add a straight line; `look` are names of LOOKS."""
        self.elements.append(Element("line", look, (x1, y1, x2, y2), hover))

    def box(self, x: float, y: float, width: float, height: float, look: str, hover: str = "") -> None:
        """Add a rectangle."""
        self.elements.append(Element("rect", look, (x, y, max(width, 0.5), height), hover))

    def path(self, points: Sequence[tuple[float, float]], look: str) -> None:
        """Add a line through points."""
        self.elements.append(Element("polyline", look, tuple(value for point in points for value in point)))

    def mark(self, x: float, y: float, look: str, shape: int = 0, size: float = 5, hover: str = "") -> None:
        """Add the mark of a point; `shape` is the index of its form in SHAPES."""
        corners = tuple(value for across, down in SHAPES[shape] for value in (x + size * across, y + size * down))
        tag, numbers = ("polygon", corners) if corners else ("circle", (x, y, size * 0.9))
        self.elements.append(Element(tag, look, numbers, hover))

    def text(self, x: float, y: float, content: str, look: str = "plain", anchor: str = "start") -> None:
        """Add a line of text, unless it is empty. `anchor` is "start", "middle" or "end"."""
        if content:
            self.elements.append(Element("text", look, (x, y), content, anchor))

    def markup(self) -> Markup:
        """Return the <svg> element for a page that has the `rules` of colours as variables."""
        return self._element(0, Markup(""))

    def file(self) -> str:
        """Return an SVG file with a margin, on white, so that it can be read on a dark page, too."""
        ground = Element("rect", "ground", (-MARGIN, -MARGIN, self.width + 2 * MARGIN, self.height + 2 * MARGIN))
        styles = Markup("<style>svg { font-family: Helvetica, Arial, sans-serif; }\n{}</style>").replace(
            "{}", Markup(rules(LIGHT.__getitem__))
        )
        return str(self._element(MARGIN, styles + _markup(ground))) + "\n"

    def _element(self, margin: float, before: Markup) -> Markup:
        width, height = self.width + 2 * margin, self.height + 2 * margin
        content = repr((self.title, self.description, self.elements))
        name = "d" + hashlib.sha256(content.encode()).hexdigest()[:10]
        head = Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" class="drawing" viewBox="{0} {0} {1} {2}"{3} role="img" '
            'aria-labelledby="{4}-title {4}-text"><title id="{4}-title">{5}</title><desc id="{4}-text">{6}</desc>'
        )
        size = Markup(' width="{}" height="{}"').format(short(width), short(height)) if margin else ""
        head = head.format(short(-margin), short(width), short(height), size, name, self.title, self.description)
        return head + before + Markup("").join(map(_markup, self.elements)) + Markup("</svg>")


def sentence(text: str) -> Drawing:
    """Return a sentence as a drawing, in place of a chart."""
    drawing = Drawing(text, text, text_width(text), 24)
    drawing.text(0, 16, text)
    return drawing


def rules(colour: Callable[[str], str]) -> str:
    """Return LOOKS as rules of CSS. `colour` returns the value of a colour's name."""

    def rule(key: str, given: str | float) -> str:
        name = f"{given}px" if key in ("font-size", "rx") else str(given)
        return f"{key}: {'currentColor' if name == 'own' else colour(name) if name in LIGHT else name};"

    return "\n".join(
        f"svg.drawing .{name} {{ {' '.join(rule(*given) for given in look.items())} }}" for name, look in LOOKS.items()
    )


def style_of(look: str) -> dict[str, str | float]:
    """Return the properties of a look, which may have several names, with the light colours as #rrggbb."""
    names = look.split()
    style = {key: value for name, given in LOOKS.items() if name in names for key, value in given.items()}
    own = style.get("color", "text")
    return {key: LIGHT.get(str(own if value == "own" else value), value) for key, value in style.items()}


def text_width(text: str, look: str = "plain") -> float:
    """Return the width of a line of text in units of the drawing, in Helvetica."""
    style = style_of(look)
    return stringWidth(text, "Helvetica-Bold" if "font-weight" in style else "Helvetica", float(style["font-size"]))


def short(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def _markup(element: Element) -> Markup:
    numbers = list(map(short, element.numbers))
    if names := ATTRIBUTES.get(element.tag):
        placed = Markup(" ").join(map(Markup('{}="{}"').format, names, numbers))
    else:
        placed = Markup('points="{}"').format(" ".join(map(",".join, zip(numbers[::2], numbers[1::2], strict=True))))
    anchor = Markup(' text-anchor="{}"').format(element.anchor) if element.anchor else ""
    content = element.text if element.tag == "text" else Markup("<title>{}</title>").format(element.text)
    return Markup('<{0} class="{1}" {2}{3}>{4}</{0}>').format(
        Markup(element.tag), element.look, placed, anchor, content if element.text else ""
    )
