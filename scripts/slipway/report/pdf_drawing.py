"""Convert a drawing into shapes of reportlab for a PDF. Its text can be selected."""

from typing import Any

from reportlab.graphics import shapes
from reportlab.lib.colors import HexColor

from slipway.report.drawing import Drawing, Element, style_of


def pdf_drawing(drawing: Drawing, width: float) -> shapes.Drawing:
    """Return a drawing as a reportlab drawing that is `width` points wide."""
    scale = width / drawing.width
    pdf = shapes.Drawing(width, scale * drawing.height)
    for element in drawing.elements:
        pdf.add(_shape(element, scale, pdf.height))
    return pdf


def _shape(element: Element, scale: float, height: float) -> shapes.Shape:
    """Return an element as a shape of reportlab. `scale` is points per unit of the drawing.

    In reportlab, y goes upwards from the bottom. So `height` is the height of the whole drawing in points.
    """
    across = [scale * value for value in element.numbers[::2]]
    up = [height - scale * value for value in element.numbers[1::2]]
    points = [value for point in zip(across, up, strict=False) for value in point]
    style: dict[str, Any] = style_of(element.look)
    if element.tag == "text":
        font = "Helvetica-Bold" if "font-weight" in style else "Helvetica"
        text = {"fontName": font, "fontSize": scale * style["font-size"], "fillColor": HexColor(style["fill"])}
        return shapes.String(*points, element.text, textAnchor=element.anchor, **text)
    stroke, fill = _stroke(style, scale), _fill(style)
    if element.tag == "line":
        return shapes.Line(*points, **stroke)
    if element.tag == "polyline":
        return shapes.PolyLine(points, **stroke)
    if element.tag == "polygon":
        return shapes.Polygon(points, **stroke, **fill)
    if element.tag == "circle":
        return shapes.Circle(*points, across[1], **stroke, **fill)
    tall = scale * element.numbers[3]
    return shapes.Rect(across[0], up[0] - tall, across[1], tall, **stroke, **fill)


def _stroke(style: dict[str, Any], scale: float) -> dict[str, Any]:
    """Return the lines of a style, from `style_of`, as reportlab's properties: colour, width, opacity, dashes."""
    return {
        "strokeColor": HexColor(style["stroke"]) if "stroke" in style else None,
        "strokeWidth": scale * style.get("stroke-width", 1),
        "strokeOpacity": style.get("stroke-opacity", 1),
        "strokeDashArray": [scale * float(dash) for dash in style.get("stroke-dasharray", "").split()] or None,
    }


def _fill(style: dict[str, Any]) -> dict[str, Any]:
    """Return the fill of a style, from `style_of`, as reportlab's properties: colour and opacity."""
    colour = style.get("fill", "none")
    return {"fillColor": None if colour == "none" else HexColor(colour), "fillOpacity": style.get("fill-opacity", 1)}
