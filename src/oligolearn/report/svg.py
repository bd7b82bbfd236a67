"""A matplotlib figure as files, and as SVG that can stand among others in one page."""

import io
import os
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from oligolearn.report.scatter import RASTER_DPI
from oligolearn.report.style import styled
from oligolearn.writing import whole_file

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_PIXELS_PER_POINT = 96 / 72
_LARGEST_SCALE = 1.25


def rendered(figure: Figure, kind: str, salt: str) -> bytes:
    """Figure as a file of `kind` ("svg" or "pdf"), the same bytes each time: no date, identifiers from `salt`."""
    metadata = {"Date": None} if kind == "svg" else {"CreationDate": None}
    buffer = io.BytesIO()
    with styled(), rc_context({"svg.hashsalt": salt}), warnings.catch_warnings():
        # Names may be in a script that the layout font lacks; the text is kept and the reader's font shows it.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
        warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support")
        figure.savefig(buffer, format=kind, metadata=metadata, dpi=RASTER_DPI)
    return buffer.getvalue()


def inline(figure: Figure, prefix: str, *, title: str, description: str) -> str:
    """Figure as an ``<svg>`` element for HTML, with a text for those who do not see it.

    Every identifier begins with `prefix`, so that figures of one page do not take each other's shapes.
    """
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(rendered(figure, "svg", prefix))
    for child in list(root):
        if child.tag == f"{{{_SVG}}}metadata":
            root.remove(child)
    _without_global_style(root)
    for element in root.iter():
        for name, value in element.attrib.items():
            element.set(name, _prefixed(name, value, prefix))
    _described(root, prefix, title, description)
    width = float(root.attrib.pop("width").removesuffix("pt")) * _PIXELS_PER_POINT
    root.attrib.pop("height")
    root.set(
        "style",
        f"min-width:{width:.0f}px;max-width:{_LARGEST_SCALE * width:.0f}px;stroke-linejoin:round;stroke-linecap:butt",
    )
    return ET.tostring(root, encoding="unicode")


def _without_global_style(root: ET.Element) -> None:
    """Drop matplotlib's ``* {...}`` rule, which would style the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}style":
                parent.remove(child)


def _prefixed(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name.endswith("href") and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    return (
        value.replace("url(#", f"url(#{prefix}-") if name in ("clip-path", "style", "fill", "mask", "filter") else value
    )


def _described(root: ET.Element, prefix: str, title: str, description: str) -> None:
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{prefix}-{tag}"})
        element.text = text
        root.insert(position, element)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title")
    root.set("aria-describedby", f"{prefix}-desc")


def write_drawn(figures: Mapping[str, Figure], folder: str | os.PathLike[str]) -> list[Path]:
    """Write figures as ``<name>.svg`` and ``<name>.pdf`` into a folder, which is made if it does not exist."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in figures.items():
        for kind in ("svg", "pdf"):
            written.append(folder / f"{name}.{kind}")
            with whole_file(written[-1]) as temporary:
                temporary.write_bytes(rendered(figure, kind, salt=name))
        figure.clear()
    return written
