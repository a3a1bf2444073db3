"""What a request's `Accept` header prefers. Pure.

Rule: as HTTP has it (RFC 9110, 12.5.1), the most specific range that covers a type gives its weight. It does not
promise to refuse what cannot be read: a weight that makes no sense counts as 0, and what stands behind the first `READ`
characters does not count.
"""

from __future__ import annotations

READ = 1024
"""Characters; a browser sends some 150, and 32 kB of commas would take as long as a hundred polls."""


def prefers_json(header: str) -> bool:
    """Whether JSON is wanted rather than plain text; text if they tie.

    Args:
        header: the value of `Accept`, "" if there was none.
    """
    header = header.lower()
    if "application/" not in header:
        return False  # nearly every poll
    weights = _weights(header)
    return _of(weights, "application/json") > _of(weights, "text/plain")


def prefers_html(header: str) -> bool:
    """Whether a page for people is wanted: only if HTML is named, which browsers do and `*/*` does not.

    Args:
        header: the value of `Accept`, "" if there was none.
    """
    weights = _weights(header.lower())
    html = weights.get("text/html", 0.0)
    return html > 0 and html >= max(weights.get("text/plain", 0.0), weights.get("application/json", 0.0))


def _weights(header: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in header[:READ].split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weights[name] = max(weights.get(name, 0.0), _weight(parameters))
    return weights


def _of(weights: dict[str, float], kind: str) -> float:
    ranges = (kind, kind.partition("/")[0] + "/*", "*/*")
    return next((weights[each] for each in ranges if each in weights), 0.0)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
