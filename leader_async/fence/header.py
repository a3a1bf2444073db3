"""A token on its way through HTTP: two headers. Pure.

Leader-Token: 4711
Leader-Election: reports       percent-encoded where it is not ASCII letters, digits, `_.-~/`
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from ..errors import UsageError
from .statements import HIGHEST, check_token

TOKEN = "Leader-Token"
ELECTION = "Leader-Election"
DIGITS = len(str(HIGHEST))


def headers(election: str, token: int) -> dict[str, str]:
    """The headers of a request that is made under a term; for any HTTP client.

    Args:
        election: the election's name.
        token: `term.token`.

    Raises:
        UsageError: an argument cannot be used.
    """
    check_token(token)
    if not election:
        raise UsageError("the name of the election is missing")
    return {TOKEN: str(token), ELECTION: quote(election)}


def token_of(text: str) -> int | None:
    """The token in a header's value, None if that is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        return None
    token = int(text)
    return token if token <= HIGHEST else None


def election_of(text: str) -> str:
    """The election in a header's value; what cannot be read becomes a name that no election has."""
    return unquote(text, errors="replace")
