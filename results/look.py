"""What the lineage tree looks like: inks, shapes and sizes of trials, the themes of light and dark."""

from typing import Any, Final

from msgspec import Struct

from results.marks import Drawing, Mark

# Inks for the names of terminal colours: told apart with the common colour blindnesses (after Okabe and Ito),
# and legible on white as well as on black.
INKS: Final = {
    "cyan": "#2b9fd9",
    "magenta": "#c2649b",
    "yellow": "#d98a00",
    "blue": "#3f62c4",
    "bright_green": "#0a9a72",
    "bright_red": "#d0561b",
    "bright_cyan": "#53b9ae",
    "bright_magenta": "#8a5bc9",
}
_FONT: Final = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
_CROSS: Final = "M-.7,-.7L.7,.7M-.7,.7L.7,-.7"
_SQUARE: Final = "M-.7,-.7L.7,-.7L.7,.7L-.7,.7Z"
_PLUS: Final = "M-.8,0L.8,0M0,-.8L0,.8"


class Look(Struct, frozen=True):
    """How a kind of trial is drawn, and what it is called."""

    sign: str  # for a line of text
    title: str
    shape: str  # Vega's name for it, or an SVG path within -1 to 1
    size: float  # square pixels
    inside: float  # opacity of its inside
    opacity: float


LOOKS: Final = {
    "kept": Look("●", "kept", "circle", 95, 1.0, 1.0),
    "unproven": Look("◇", "may be better", "diamond", 75, 0.0, 1.0),
    "dropped": Look("○", "dropped", "circle", 28, 0.0, 0.65),
    "again": Look("+", "measured again", _PLUS, 70, 0.0, 0.9),
    "beyond": Look("△", "off the scale", "triangle-up", 50, 0.0, 0.75),
    "stopped": Look("□", "stopped early", _SQUARE, 32, 0.0, 0.75),
    "failed": Look("×", "failed", _CROSS, 46, 0.0, 0.85),
    "lost": Look("–", "lost", "stroke", 60, 0.0, 0.7),
    "running": Look("▷", "under way", "triangle-right", 90, 0.0, 1.0),
}


def look(mark: Mark) -> Look:
    return LOOKS["beyond" if mark.beyond else mark.fate]


def looks(drawing: Drawing) -> list[Look]:
    """Those that occur."""
    seen = {look(mark).title for mark in drawing.marks}
    return [one for one in LOOKS.values() if one.title in seen]


def theme(dark: bool) -> dict[str, Any]:
    """Vega-Lite's configuration, on white or on black."""
    ink, soft, faint = ("#e6e6e3", "#a3a39e", "#33332f") if dark else ("#1c1c1a", "#5f5f5a", "#e9e9e4")
    return {
        "background": "transparent" if dark else "white",
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": soft, "titleColor": soft, "titleFontWeight": "normal", "titleFontSize": 12,
            "labelFontSize": 11, "titlePadding": 10, "gridColor": faint, "domain": False, "ticks": False,
            "labelPadding": 6,
        },
        "axisX": {"domain": True, "domainColor": soft, "ticks": True, "tickColor": soft, "tickSize": 4},
        "title": {"color": soft, "fontSize": 12, "fontWeight": "normal"},
        "legend": {"labelColor": ink, "labelFontSize": 12, "symbolStrokeWidth": 2, "labelLimit": 160},
        "style": {
            "rail": {"color": soft, "opacity": 0.09},
            "railname": {"color": soft, "fontSize": 11},
            "best": {"color": soft, "opacity": 0.13},
            "crown": {"color": ink, "filled": False},
            "crownname": {"color": ink, "fontSize": 12, "fontWeight": 600},
        },
    }  # fmt: skip
