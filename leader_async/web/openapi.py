"""What the service promises, as OpenAPI 3.1; served at `GET /openapi.json`.

Rule: every route of `app` is in `ROUTES`, with every status that it can answer; tests hold both to that.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aiohttp import web

from ..election.rules.state import State
from ..version import version
from . import answers
from .page import ASSETS

TEXT: dict[str, Any] = {"type": "string"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
NUMBER: dict[str, Any] = {"type": "number"}
YES_NO: dict[str, Any] = {"type": "boolean"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


def _object(**fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


STATE: dict[str, Any] = {"type": "string", "enum": [state.value for state in State]}
GUARDIAN: dict[str, Any] = {"type": "string", "enum": ["none", "starting", "running", "lost"]}
ATTEMPT: dict[str, Any] = _object(
    slot=NUMBER, attempt=COUNT, manual=YES_NO, token=COUNT, identity=TEXT, began=NUMBER, ended=_or_null(NUMBER),
    outcome={"type": "string", "enum": ["running", "waiting", "done", "failed", "unfinished"]}, error=TEXT,
)  # fmt: skip
TERM: dict[str, dict[str, Any]] = {
    "term": COUNT, "token": COUNT, "identity": TEXT, "address": TEXT, "began": NUMBER, "ended": _or_null(NUMBER),
    "why": TEXT, "detail": TEXT, "told_by": TEXT, "leaderless_ms": _or_null(COUNT), "at_least": YES_NO,
}  # fmt: skip
SCHEMAS: dict[str, dict[str, Any]] = {
    "Error": _object(error=TEXT, status=COUNT, reason=TEXT),
    "IsLeader": _object(host=TEXT, is_leader=YES_NO),
    "Role": _object(
        identity=TEXT, is_leader=YES_NO, state=STATE, term=_or_null(COUNT), token=_or_null(COUNT), lease_left=NUMBER,
        leader=_or_null(TEXT), leader_address=_or_null(TEXT), leader_seen=_or_null(NUMBER),
    ),
    "Health": _object(status={"const": "ok"}),
    "Readiness": _object(status={"const": "ok"}, state=STATE),
    "Session": _object(
        connected=YES_NO, since=NUMBER, server=_or_null(TEXT), encryption=_or_null(TEXT), session_id=TEXT,
        timeout_asked=NUMBER, timeout=_or_null(NUMBER), last_error=TEXT, away_since=_or_null(NUMBER), guardian=GUARDIAN,
    ),
    "Status": _object(
        version=TEXT, election=TEXT, identity=TEXT, address=TEXT, state=STATE, is_leader=YES_NO, in_queue=YES_NO,
        position=_or_null(COUNT), predecessor=_or_null(TEXT), term=_or_null(COUNT), token=_or_null(COUNT), lease=NUMBER,
        lease_left=NUMBER, leader=_or_null(TEXT), leader_address=_or_null(TEXT), leader_seen=_or_null(NUMBER),
        overdue=NUMBER, healed=COUNT, since=NUMBER, alive=YES_NO, problem=TEXT,
        session={"$ref": "#/components/schemas/Session"},
    ),
    "Candidate": _object(
        identity=TEXT, address=TEXT, znode=TEXT, started_at=NUMBER, position=COUNT, is_leader=YES_NO,
        term=_or_null(COUNT), token=_or_null(COUNT), ghost=YES_NO,
    ),
    "Term": _object(**TERM),
    "Attempt": ATTEMPT,
    "Job": _object(
        name=TEXT, trigger=TEXT, slot=NUMBER, next_slot=_or_null(NUMBER),
        current={"anyOf": [{"$ref": "#/components/schemas/Attempt"}, {"type": "null"}]},
        past={"type": "array", "items": {"$ref": "#/components/schemas/Attempt"}}, problem=TEXT,
    ),
    "StatusEvent": _object(at=NUMBER, status={"$ref": "#/components/schemas/Status"}, resignable=YES_NO),
    "LeaseEvent": _object(at=NUMBER, term=COUNT, lease=NUMBER, lease_left=NUMBER),
    "QueueEvent": _object(
        at=NUMBER, connected=YES_NO, problem=TEXT,
        leader={"anyOf": [{"$ref": "#/components/schemas/Candidate"}, {"type": "null"}]},
        queue={"type": "array", "items": {"$ref": "#/components/schemas/Candidate"}},
        missing={"type": "array", "items": _object(identity=TEXT, address=TEXT, since=NUMBER)},
    ),
    "TermsEvent": _object(at=NUMBER, terms={"type": "array", "items": _object(**TERM, explained=TEXT)}),
    "JobsEvent": _object(at=NUMBER, jobs={"type": "array", "items": {"$ref": "#/components/schemas/Job"}}),
    "BeatEvent": _object(at=NUMBER, connected=YES_NO),
    "Asked": _object(job=TEXT, identity=TEXT),
    "Resigned": _object(resigned={"const": True}, identity=TEXT, term=COUNT),
}  # fmt: skip

DIGITS: dict[str, Any] = {"type": "string", "pattern": "^[0-9]+$"}


def _told(schema: Any) -> Any:
    """The same as `/events` tells it: its tokens are strings, for JavaScript."""
    if isinstance(schema, list):
        return [_told(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if (told := f"{schema.get('$ref', '')}Told").rpartition("/")[2] in TOLD:
        return {"$ref": told}
    return {
        name: (_or_null(DIGITS) if "null" in value["type"] else DIGITS) if name == "token" else _told(value)
        for name, value in schema.items()
    }


TOLD = {f"{name}Told": SCHEMAS[name] for name in ("Status", "Candidate", "Attempt", "Job")}
SCHEMAS |= {name: _told(schema) for name, schema in TOLD.items()}
SCHEMAS |= {name: _told(schema) for name, schema in SCHEMAS.items() if name.endswith("Event")}

_ANY = {"type": "object"}
_QUEUE = {"type": "array", "items": {"$ref": "#/components/schemas/Candidate"}}
_HISTORY = {"type": "array", "items": {"$ref": "#/components/schemas/Term"}}
_JOBS = {"type": "array", "items": {"$ref": "#/components/schemas/Job"}}

# path: what it is for, and what it answers
PAGES: dict[str, tuple[str, dict[int, str | dict[str, Any]]]] = {
    "/api/LeaderElection/is-leader": ("The poll: `<identity> - True` or `<identity> - False`.", {200: "IsLeader"}),
    "/follower": ("200 from a follower, 503 from the leader.", {200: "Role", 503: "Role"}),
    "/healthz": ("503: restart this replica. Does not depend on ZooKeeper.", {200: "Health", 503: "Error"}),
    "/readyz": ("503: not connected, or not in the queue.", {200: "Readiness", 503: "Error"}),
    "/status": ("All that this replica knows, from memory.", {200: "Status"}),
    "/candidates": ("The queue, read from ZooKeeper.", {200: _QUEUE, 503: "Error"}),
    "/history": ("The latest terms and why they ended, read from ZooKeeper.", {200: _HISTORY, 503: "Error"}),
    "/jobs": ("All jobs, their last runs and next slots, read from ZooKeeper.", {200: _JOBS, 503: "Error"}),
    "/jobs/{name}": ("One of them.", {200: "Job", 404: "Error", 503: "Error"}),
    "/events": (
        "Server-sent events: `status`, `lease`, `queue`, `terms`, `jobs`, `beat`; the data of each is one of the "
        "schemas `StatusEvent` to `BeatEvent`, and the whole of its part. A `token` is a string of digits here, since "
        "JavaScript's numbers are exact below 2^53 only, and a number everywhere else.",
        {200: TEXT, 503: "Error"},
    ),
    "/openapi.json": ("This description.", {200: _ANY}),
}
FOR_BROWSERS = {
    "/": "The live page; a few lines of text for who does not ask for HTML.",
    **{f"/assets/{name}": "A file of the page." for name in ASSETS},
}
TYPES = {"/": ["text/html", "text/plain"], "/events": ["text/event-stream"], "/metrics": ["text/plain"]}
TYPES |= {f"/assets/{name}": [kind] for name, kind in ASSETS.items()}
"""The types of answers that are not JSON."""
DOINGS: dict[str, tuple[str, dict[int, str | dict[str, Any]]]] = {
    "/resign": (
        "Hand over to the next in the queue.",
        {200: "Resigned", 401: "Error", 403: "Error", 409: "Error", 503: "Error", 504: "Error"},
    ),
    "/jobs/{name}/run": (
        "Run a job now, at the leader.",
        {202: "Asked", 401: "Error", 403: "Error", 404: "Error", 409: "Error", 503: "Error"},
    ),
}


def routes() -> dict[tuple[str, str], tuple[str, dict[int, Any]]]:
    """For each method and path what it is for, and the schemas of its answers by status."""
    found: dict[tuple[str, str], tuple[str, dict[int, Any]]] = {}
    for path, (summary, replies) in PAGES.items():
        found["get", path] = summary, replies
        either = {"anyOf": [_reference(replies[503]), _reference("Role")]} if 503 in replies else "Role"
        found["get", "/leader" + path] = f"The leader's: {summary}", {**replies, 503: either}
    for path, summary in FOR_BROWSERS.items():
        found["get", path] = summary, {200: TEXT}
    found["get", "/leader"] = "200 from the leader, 503 from everybody else.", {200: "Role", 503: "Role"}
    found["get", "/metrics"] = "This replica's metrics, for Prometheus.", {200: TEXT}
    both = {"anyOf": [_reference("Error"), _reference("Role")]}
    for path, (summary, replies) in DOINGS.items():
        found["post", path] = summary, replies
        found["post", "/leader" + path] = f"The leader's: {summary}", {**replies, 503: both}
    return found


def _reference(schema: str | dict[str, Any]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"} if isinstance(schema, str) else schema


def description() -> dict[str, Any]:
    """The whole description."""
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), (summary, replies) in routes().items():
        described = {str(status): _response(status, path, schema) for status, schema in replies.items()}
        operation: dict[str, Any] = {"summary": summary, "responses": described}
        if method == "post":
            operation["security"] = [{"token": []}]
        if "{name}" in path:
            operation["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": TEXT}]
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "leader_async", "version": version(), "summary": "Who leads, and who is next."},
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


@cache
def _answer() -> answers.Constant:
    return answers.Constant(answers.json_text(description()).encode(), "application/json; charset=utf-8")


def answer() -> web.Response:
    """The description, over HTTP; its text is made once."""
    return _answer()()


def _response(status: int, path: str, schema: str | dict[str, Any]) -> dict[str, Any]:
    types = TYPES.get(path.removeprefix("/leader"), ["application/json"]) if status == 200 else ["application/json"]
    content = {kind: {"schema": _reference(schema)} for kind in types}
    if status == 200 and path.endswith("/is-leader"):
        content["text/plain"] = {"schema": {"type": "string", "pattern": "^.* - (True|False)$"}}
    return {"description": "done" if status < 400 else "refused, or not now", "content": content}
