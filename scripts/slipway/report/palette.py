"""The colours and looks of pages, charts and documents. Documents and SVG files have the light colours, on white."""

# Series have c1 to c6, which colour-blind readers can tell apart; all further series have "rest". Parts of bars have
# p0 to p8.
LIGHT = {
    **{"text": "#1b2026", "quiet": "#59636e", "line": "#d8dde3", "page": "#ffffff", "card": "#f4f6f8"},
    **{"yes": "#18794e", "no": "#c62a2f", "open": "#8f5c00", "marked": "#e2f3e9"},
    **{"baseline": "#9aa4af", "other": "#8fb4e8", "chosen": "#1d5fc2"},
    **{"c1": "#1d5fc2", "c2": "#c2530a", "c3": "#18794e", "c4": "#a4509a", "c5": "#b08900", "c6": "#3aa3d6"},
    **{"rest": "#9aa5b1", "p0": "#1d5fc2", "p1": "#7a3ec2", "p2": "#0d7a85", "p3": "#18794e", "p4": "#9aa4af"},
    **{"p5": "#c2530a", "p6": "#d9a400", "p7": "#b9c2cc", "p8": "#6b7682"},
}
DARK = {
    **{"text": "#e6e9ed", "quiet": "#9ea9b5", "line": "#363e48", "page": "#12161b", "card": "#1c2229"},
    **{"yes": "#4cc38a", "no": "#ff8589", "open": "#e2b340", "marked": "#173527"},
    **{"baseline": "#6b7682", "other": "#3f6ba8", "chosen": "#6ea8ff"},
    **{"c1": "#6ea8ff", "c2": "#ff9d5c", "c3": "#4cc38a", "c4": "#d98fd0", "c5": "#e2c04a", "c6": "#7fd0f5"},
    **{"rest": "#6b7682", "p0": "#6ea8ff", "p1": "#b794f6", "p2": "#4fc3cf", "p3": "#4cc38a", "p4": "#6b7682"},
    **{"p5": "#ff9d5c", "p6": "#e2c04a", "p7": "#46505b", "p8": "#8d98a5"},
}
# {name of a look: its properties of SVG}. An element of a drawing may have several looks; the later one in this
# table counts. "own" is the colour in `color`. Documents ignore `paint-order`.
LOOKS: dict[str, dict[str, str | float]] = {
    **{name: {"color": name} for name in LIGHT},
    "deployed": {"color": "yes"},
    "rolled_back": {"color": "no"},
    "plain": {"fill": "text", "font-size": 12.5},
    "tick": {"fill": "quiet", "font-size": 11.5},
    "strong": {"fill": "text", "font-size": 12.5, "font-weight": "bold"},
    "warned": {"fill": "no", "font-size": 11.5},
    "halo": {"paint-order": "stroke", "stroke": "page", "stroke-width": 4},
    "ground": {"fill": "page"},
    "grid": {"stroke": "line", "stroke-width": 1},
    "whisker": {"stroke": "text", "stroke-width": 1.4},
    "span": {"stroke": "own", "stroke-width": 3, "stroke-opacity": 0.45},
    "limit": {"stroke": "no", "stroke-width": 1.5, "stroke-dasharray": "5 4"},
    "joined": {"fill": "none", "stroke": "own", "stroke-width": 1.6, "stroke-opacity": 0.55},
    "ring": {"fill": "none", "stroke": "text", "stroke-width": 2},
    "bar": {"fill": "own", "rx": 2},
    "part": {"fill": "own", "stroke": "page", "stroke-width": 1},
    "event": {"fill": "own"},
    "mark": {"fill": "own", "stroke": "page", "stroke-width": 1},
    "shortened": {"fill-opacity": 0.35, "stroke": "own", "stroke-width": 1},
    "disturbed": {"fill": "page", "fill-opacity": 1, "stroke": "own", "stroke-width": 1.6},
}
