"""Templates filled in, with figures drawn for wide and narrow screens."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from oligolearn.report.figures import SECTIONS, Plate
from oligolearn.report.reading import Summary
from oligolearn.report.style import NARROW, WIDE, styled
from oligolearn.report.svg import inline


class Shown(NamedTuple):
    """A figure in a page: drawn for a wide and for a narrow screen, the same drawing where it cannot change."""

    plate: Plate
    wide: Markup
    narrow: Markup | None


def fragment_prefix(summary: Summary) -> str:
    """What identifiers in a fragment begin with: a digest of its summary."""
    digest = hashlib.sha256(json.dumps(summary, sort_keys=True, default=str).encode()).hexdigest()
    return f"oligo-{digest[:8]}-"


def drawn_by_section(
    plates: Sequence[Plate], prefix: str, sections: Sequence[str] = SECTIONS
) -> dict[str, list[Shown]]:
    """Draw figures for a page, in the sections where they stand."""
    by_section: dict[str, list[Shown]] = {section: [] for section in sections}
    with styled():
        for plate in plates:
            by_section[plate.section].append(shown_plate(plate, prefix))
    return by_section


def rendered(template: str, words: Mapping[str, Any], **more: Any) -> str:
    """Fill in a template; everything but the figures is escaped."""
    return environment().get_template(template).render(**words, **more)


def shown_plate(plate: Plate, prefix: str) -> Shown:
    """Draw a figure for a page, wide and narrow; identifiers begin with `prefix`."""
    wide, narrow = plate.draw(WIDE), plate.draw(NARROW)
    same = tuple(wide.get_size_inches()) == tuple(narrow.get_size_inches())
    drawings = [
        # The drawing is ours, its texts were escaped when it was serialised.
        Markup(inline(figure, f"{prefix}{plate.name}-{size}", title=plate.title, description=plate.description))
        for figure, size in ((wide, "wide"), (narrow, "narrow"))[: 1 if same else 2]
    ]
    return Shown(plate, drawings[0], None if same else drawings[1])


def _unbroken(text: str) -> Markup:
    """Escape a sentence and keep "p = 0.04" on one line."""
    return Markup(re.sub(r"\bp (=|&lt;) [\d.]+\d", r'<span class="whole">\g<0></span>', str(escape(text))))


@cache
def environment() -> Environment:
    """Where the templates are; everything from a study is escaped."""
    environment = Environment(
        loader=PackageLoader("oligolearn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    return environment
