"""Draw SVG that lies inline in the page: text stays text, and colours come from the page's styles.

Elements have a <title>, which browsers show while the pointer is over them.
"""

from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass
class Drawing:
    """A drawing of `width` x `height` units, with a title and a description for people who do not see it."""

    name: str
    title: str
    description: str
    width: float
    height: float
    elements: list[Markup] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, look: str, hover: str = "") -> None:
        """Add a straight line; `look` names the page's styles of it."""
        self._add("line", look, hover, x1=x1, y1=y1, x2=x2, y2=y2)

    def box(self, x: float, y: float, width: float, height: float, look: str, hover: str = "") -> None:
        """Add a rectangle."""
        self._add("rect", look, hover, x=x, y=y, width=max(width, 0.5), height=height, rx=2)

    def path(self, points: list[tuple[float, float]], look: str) -> None:
        """Add a line through points."""
        steps = " ".join(f"{'L' if index else 'M'}{short(x)} {short(y)}" for index, (x, y) in enumerate(points))
        self._add("path", look, "", d=steps)

    def mark(self, x: float, y: float, look: str, shape: int = 0, size: float = 5, hover: str = "") -> None:
        """Add the mark of a point. `shape` is the number of its form, so that series differ without colours."""
        corners = SHAPES[shape % len(SHAPES)]
        points = " ".join(f"{short(x + size * across)},{short(y + size * down)}" for across, down in corners)
        if corners:
            self._add("polygon", look, hover, points=points)
        else:
            self._add("circle", look, hover, cx=x, cy=y, r=size * 0.9)

    def text(self, x: float, y: float, content: str, look: str = "", anchor: str = "start") -> None:
        """Add a line of text. `anchor` is "start", "middle" or "end"."""
        self.elements.append(
            Markup('<text x="{}" y="{}" text-anchor="{}" class="{}">{}</text>').format(
                short(x), short(y), anchor, look, content
            )
        )

    def markup(self) -> Markup:
        """Return the <svg> element."""
        head = Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" class="drawing" viewBox="0 0 {} {}" role="img" '
            'aria-labelledby="{}-title {}-text"><title id="{}-title">{}</title><desc id="{}-text">{}</desc>'
        ).format(short(self.width), short(self.height), *[self.name] * 3, self.title, self.name, self.description)
        return head + Markup("").join(self.elements) + Markup("</svg>")

    def _add(self, tag: str, look: str, hover: str, **attributes: float | str) -> None:
        written = Markup(" ").join(
            Markup('{}="{}"').format(name, value if isinstance(value, str) else short(value))
            for name, value in attributes.items()
        )
        end = Markup("><title>{}</title></{}>").format(hover, Markup(tag)) if hover else Markup("/>")
        self.elements.append(Markup('<{} class="{}" {}').format(Markup(tag), look, written) + end)


# The corners of each mark, of size 1; () is a circle.
SHAPES: tuple[tuple[tuple[float, float], ...], ...] = (
    (),
    ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    ((0, -1.1), (1.05, 0.8), (-1.05, 0.8)),
    ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
    ((-1.05, -0.8), (1.05, -0.8), (0, 1.1)),
)


def short(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")
