"""The description of the status service in OpenAPI 3.1, made of its routes and of the dataclasses that they answer.

Rules: it describes what is answered and nothing else; tests hold every route and every event to it. What each route of
one cost has in common is described once, here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..election.rules.history import TermEntry
from ..election.rules.state import State
from ..election.status import Candidate, Status
from ..guardian.client import GuardianState
from ..schedule.status import Attempt, JobStatus
from ..version import version
from ..zookeeper.status import SessionStatus
from . import schema
from .missing import Missed
from .route import LEADER, Cost, Route
from .schema import Schema, reference

OK, DONE = {"const": "ok"}, {"const": True}
DIGITS = {"type": "string", "pattern": "^[0-9]+$"}
REFUSALS = {Cost.READ: (503,), Cost.STREAM: (503,), Cost.CHANGE: (401, 403)}
"""The statuses of the errors that every route of a cost may answer."""
EXPLAINED = {"type": "array", "items": reference("ExplainedTerm")}
SHAPES: dict[str, tuple[schema.Part, ...]] = {
    "Error": ({"error": str, "status": int, "reason": str},),
    "IsLeader": ({"host": str, "is_leader": bool},),
    "Role": ({
        "identity": str, "is_leader": bool, "state": State, "term": int | None, "token": int | None,
        "lease_left": float, "leader": str | None, "leader_address": str | None, "leader_seen": float | None,
    },),
    "Health": ({"status": OK},),
    "Readiness": ({"status": OK, "state": State},),
    "Session": (SessionStatus, {"session_id": str, "away_since": float | None, "guardian": GuardianState}),
    "Status": (Status, {"version": str, "session": SessionStatus}),
    "Candidate": (Candidate,),
    "Missed": (Missed,),
    "Term": (TermEntry,),
    "ExplainedTerm": (TermEntry, {"explained": str}),
    "Attempt": (Attempt,),
    "Job": (JobStatus,),
    "StatusEvent": ({"at": float, "status": Status, "resignable": bool},),
    "LeaseEvent": ({"at": float, "term": int, "lease": float, "lease_left": float},),
    "QueueEvent": ({
        "at": float, "connected": bool, "problem": str, "leader": Candidate | None, "queue": list[Candidate],
        "missing": list[Missed],
    },),
    "TermsEvent": ({"at": float, "terms": EXPLAINED},),
    "JobsEvent": ({"at": float, "jobs": list[JobStatus]},),
    "BeatEvent": ({"at": float, "connected": bool},),
    "Asked": ({"job": str, "identity": str},),
    "Resigned": ({"resigned": DONE, "identity": str, "term": int},),
}  # fmt: skip
"""The parts of each schema: all of a dataclass, then what is served beside it or in place of one of its fields."""


def _told(kind: Any) -> Any:
    """The same as `/events` has it: its tokens are strings, for JavaScript."""
    if isinstance(kind, list):
        return [_told(one) for one in kind]
    if not isinstance(kind, dict):
        return kind
    if (told := f"{kind.get('$ref', '')}Told").rpartition("/")[2] in TOLD:
        return {"$ref": told}
    return {name: _digits(value) if name == "token" else _told(value) for name, value in kind.items()}


def _digits(token: Schema) -> Schema:
    kept = {name: text for name, text in token.items() if name == "description"}
    return {**(schema.or_null(DIGITS) if "null" in token["type"] else DIGITS), **kept}


SCHEMAS = schema.components(SHAPES)
TOLD = {f"{name}Told": SCHEMAS[name] for name in ("Status", "Candidate", "Attempt", "Job")}
SCHEMAS |= {name: _told(one) for name, one in TOLD.items()}
SCHEMAS |= {name: _told(one) for name, one in SCHEMAS.items() if name.endswith("Event") or name == "ExplainedTerm"}


def description(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole description."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method] = _operation(route)
        if route.below_leader:
            paths.setdefault(LEADER + route.path, {})[route.method] = _operation(route, of_leader=True)
    return {
        "openapi": "3.1.0",
        "info": {"title": "leader_async", "version": version(), "summary": "Who leads, and who is next."},
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(route: Route, *, of_leader: bool = False) -> dict[str, Any]:
    replies = {status: _schema(answer) for status, answer in route.answers.items()}
    replies |= dict.fromkeys(REFUSALS.get(route.cost, ()), reference("Error"))
    if of_leader:
        role = reference("Role")
        replies[503] = {"anyOf": [replies[503], role]} if 503 in replies else role
    content: dict[int, Schema] = {200: {kind: {"schema": text} for kind, text in route.text.items()}}
    for status, reply in replies.items():
        content.setdefault(status, {})["application/json"] = {"schema": reply}
    operation: dict[str, Any] = {
        "summary": f"The leader's: {route.summary}" if of_leader else route.summary,
        "responses": {
            str(status): {"description": "done" if status < 400 else "refused, or not now", "content": content[status]}
            for status in sorted(content)
            if content[status]
        },
    }
    if route.cost is Cost.CHANGE:
        operation["security"] = [{"token": []}]
    if "{name}" in route.path:
        operation["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
    return operation


def _schema(answer: str | list[str] | Mapping[str, Any]) -> Schema:
    if isinstance(answer, list):
        return {"type": "array", "items": reference(*answer)}
    return reference(answer) if isinstance(answer, str) else {**answer}
