"""Numbers as a reader expects them in a sentence or a table."""

import math
from collections.abc import Callable, Sequence
from typing import Any

MISSING = "–"
MINUS = "−"


def known(value: Any) -> float | None:
    """Return `value` as a float, or None where it is absent or not finite."""
    if value is None or isinstance(value, str | bool) or not math.isfinite(value):
        return None
    return float(value)


def count(value: Any) -> str:
    """Whole number with thousands separated: ``2,186``."""
    number = known(value)
    return MISSING if number is None else f"{round(number):,}".replace("-", MINUS)


def labels(value: Any) -> str:
    """Number of labels with its noun: ``1 label``, ``2,186 labels``."""
    return f"{count(value)} label" + ("" if value == 1 else "s")


def label_interval(low: float | None, high: float | None) -> str:
    """Ends of an interval of labels, one of which may be open.

    >>> label_interval(9.2, None), label_interval(3.0, 20.0)
    ('9 or more', '3 to 20')
    """
    if low is None or high is None:
        return f"{count(low)} or more" if low is not None else f"{count(high)} or fewer" if high is not None else ""
    return f"{count(low)} to {count(high)}"


def percent(value: Any, digits: int = 1) -> str:
    """Share as a percentage: 0.913 -> ``91.3%``."""
    number = known(value)
    return MISSING if number is None else f"{number:.{digits}%}".replace("-", MINUS)


def decimal(value: Any, digits: int = 3) -> str:
    """Decimal number with a real minus sign."""
    number = known(value)
    return MISSING if number is None else f"{number:.{digits}f}".replace("-", MINUS)


def points(difference: Any, *, signed: bool = True) -> str:
    """Difference of two shares in percentage points: 0.081 -> ``+8.1``; never ``-0.0``."""
    number = known(difference)
    if number is None:
        return MISSING
    rounded = round(100 * number, 1) + 0.0
    return f"{rounded:{'+' if signed and rounded else ''}.1f}".replace("-", MINUS)


def change(difference: Any, *, signed: bool = True) -> str:
    """Difference of two correlations: 0.081 -> ``+0.081``; never ``-0.000``."""
    number = known(difference)
    if number is None:
        return MISSING
    rounded = round(number, 3) + 0.0
    return f"{rounded:{'+' if signed and rounded else ''}.3f}".replace("-", MINUS)


def size_of_change(difference: float) -> str:
    """Absolute difference of two correlations for a sentence: ``0.081``, ``less than 0.001``."""
    return "less than 0.001" if 0 < abs(difference) < 0.0005 else change(abs(difference), signed=False)


def size_in_points(difference: float) -> str:
    """Absolute difference for a sentence: ``8.1 points``, ``less than 0.1 points``."""
    size = abs(difference)
    if 0 < size < 0.0005:
        return "less than 0.1 points"
    text = points(size, signed=False)
    return f"{text} point" + ("" if text == "1.0" else "s")


def p_value(value: Any) -> str:
    """p to two significant digits without its letter: ``0.032``, ``< 0.0001``."""
    number = known(value)
    if number is None:
        return MISSING
    if number < 0.0001:
        return "< 0.0001"
    return f"{number:.4f}" if number < 0.001 else f"{number:.3f}" if number < 0.1 else f"{number:.2f}"


def p_equals(value: Any) -> str:
    """p in a sentence: ``p = 0.032``, ``p < 0.0001``."""
    text = p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def span(low: Any, high: Any, write: Callable[..., str] = points) -> str:
    """Interval in percentage points, or as `write` has it: ``6.0 to 10.2``; empty when an end is undefined."""
    if known(low) is None or known(high) is None:
        return ""
    return f"{write(low, signed=False)} to {write(high, signed=False)}"


def joined(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def sentence(text: str) -> str:
    """First letter in upper case, one full stop at the end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def shortened(text: str, length: int = 28) -> str:
    """`text` on one line, its middle replaced by an ellipsis beyond `length` characters."""
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    head = (length - 1) * 2 // 3
    return f"{text[:head].rstrip()}…{text[-(length - 1 - head) :].lstrip()}"


def distinct(names: Sequence[str], length: int = 28) -> list[str]:
    """Names shortened alike and still all different: to more characters where needed, numbered as the last resort.

    >>> distinct(["carcinoma of the left lung", "carcinoma of the right lung"], 12)
    ['carcinoma of…ft lung', 'carcinoma of…ht lung']
    """
    for limit in range(length, 2 * length):
        short = [shortened(name, limit) for name in names]
        if len(set(short)) == len(set(names)):
            return short
    return [f"{i}. {shortened(name, length)}" for i, name in enumerate(names, 1)]
