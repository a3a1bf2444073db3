"""Garbage: what a stranger may write where this library stores JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"scribble",
    "no UTF-8": b'{"identity":"\xff\xfe"}',
    "UTF-16": '{"identity":"x"}'.encode("utf-16"),
    "null": b"null",
    "a number": b"7",
    "a list": b"[]",
    "an empty object": b"{}",
    "deep": b"[" * 60_000,
    "deep and closed": b'{"identity":' * 5_000 + b"0" + b"}" * 5_000,
    "NaN": b'{"identity":NaN}',
    "Infinity": b'{"identity":-Infinity}',
    "1e400": b'{"identity":1e400}',
    "10**400": b'{"identity":1' + b"0" * 400 + b"}",
    "5,000 digits": b'{"identity":' + b"9" * 5_000 + b"}",
    "a key twice": b'{"identity":"a","identity":"b"}',
    "300 kB": b'{"identity":"' + b"f" * 300_000 + b'"}',
}
"""By a word for each; none of them has an identity that can be read."""

VALUES = ("null", "true", '"x"', '"\\ud800"', '"\\u001b[2J\\n"', "-1", "0", "1.5", "1e308", "1e400", "1" + "0" * 400,
          "9" * 5_000, str(2**63), str(2**31), "NaN", "[]", "{}", '"' + "f" * 5_000 + '"', "[" * 900 + "]" * 900,
          '"a/b"', '".."', '[{"term":1e400}]', '[-1]', '["a/b"]')  # fmt: skip
"""What may stand in a field instead of what should."""


def spoilt(said: dict[str, Any]) -> Iterator[bytes]:
    """The object with one field missing, or with each of `VALUES` in it; inner objects as well."""
    for name, value in said.items():
        rest = {other: one for other, one in said.items() if other != name}
        yield json.dumps(rest).encode()
        for instead in VALUES:
            yield f"{json.dumps(rest)[:-1]}{', ' * bool(rest)}{json.dumps(name)}: {instead}}}".encode()
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict):
            for changed in spoilt(inner):
                whole = b"[" + changed + b"]" if isinstance(value, list) else changed
                begin = f"{json.dumps(rest)[:-1]}{', ' * bool(rest)}{json.dumps(name)}: "
                yield begin.encode() + whole + b"}"
