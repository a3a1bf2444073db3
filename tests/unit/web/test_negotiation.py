"""What an `Accept` header prefers."""

from __future__ import annotations

import pytest

from leader_async.web.negotiation import READ, prefers_html, prefers_json


@pytest.mark.parametrize(
    "header",
    [
        "application/json",
        "Application/JSON",
        "application/*",
        "application/json;level=1",
        "text/plain;q=0.5, application/json",
        "application/json, */*;q=0.5",
        "application/json;q=0.1, text/plain;q=0, */*",
        "application/json;q=0.2, application/json;q=0.9, text/*;q=0.5",
    ],
)
def test_json_is_wanted(header: str) -> None:
    assert prefers_json(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",;,",
        "*/*",
        "text/plain",
        "text/html, */*;q=0.8",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "application/json, text/plain, */*",
        "application/json;q=0.3, text/plain;q=0.8",
        "application/json;q=0, application/*",
        "application/json;q=nonsense",
        "application/json;q=nan",
    ],
)
def test_text_is_good_enough(header: str) -> None:
    assert not prefers_json(header)


def test_what_stands_far_behind_does_not_count() -> None:
    assert not prefers_json("text/plain;q=0.1," * (READ // 10) + "application/json")
    assert prefers_html("text/html," + "application/json;q=nonsense," * READ)
