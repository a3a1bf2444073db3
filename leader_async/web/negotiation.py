"""What a request's `Accept` header prefers. Pure.

Rule: as HTTP has it (RFC 9110, 12.5.1), the most specific range that covers a type gives its weight. It refuses
nothing: a weight that makes no sense counts as 0, and what stands behind the first `READ` characters does not count.
"""

from __future__ import annotations

import re

READ = 1024
"""Characters; a browser sends some 150, and 32 kB of commas would take as long as a hundred polls."""
_WEIGHT = re.compile(r"[01](\.\d*)?|\.\d+", re.ASCII)


def prefers_json(header: str) -> bool:
    """Whether JSON is wanted rather than plain text; text if they tie, or if the header is ""."""
    if "application/" not in header.lower():
        return False  # nearly every poll
    weights = _weights(header)
    json, text = (
        next((weights[one] for one in (kind, kind.partition("/")[0] + "/*", "*/*") if one in weights), 0.0)
        for kind in ("application/json", "text/plain")
    )
    return json > text


def prefers_html(header: str) -> bool:
    """Whether a page for people is wanted: only if HTML is named, which browsers do and `*/*` does not."""
    weights = _weights(header)
    html = weights.get("text/html", 0.0)
    return html > 0 and html >= max(weights.get("text/plain", 0.0), weights.get("application/json", 0.0))


def _weights(header: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in header[:READ].lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        given = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        weights[name] = max(weights.get(name, 0.0), float(given) if _WEIGHT.fullmatch(given) else 0.0)
    return weights
