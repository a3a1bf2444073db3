"""What a route of the status service is; `routes` is the table of all of them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .leading import Handler

Schema = Mapping[str, Any]
LEADER = "/leader"
"""Below it are the routes that only the leader answers."""


class Cost(enum.Enum):
    """What an answer costs, and so what bounds the route.

    Attributes:
        MEMORY: nearly nothing: it is made of what this replica knows, whenever it is asked for.
        ONCE: nothing: it is made once, or once a second.
        READ: a question to ZooKeeper. The handler asks through `service.read`: a few at a time, the rest are refused.
        STREAM: a connection for long; `broadcast` bounds how many there are.
        CHANGE: it changes something. The route is a POST, and needs the bearer token.
    """

    MEMORY = enum.auto()
    ONCE = enum.auto()
    READ = enum.auto()
    STREAM = enum.auto()
    CHANGE = enum.auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table.

    Attributes:
        path: its path; a `{name}` in it is that of a job.
        handler: answers it.
        cost: what an answer costs.
        summary: what it is for, in a line.
        answers: by status what JSON has: the name of a shape in `openapi.SHAPES`, that in a list if it is a list, or a
            schema. What all routes of this cost answer is not here.
        text: the schemas of answers in other types, whose status is 200.
        below_leader: it is answered below `/leader` too, by the leader only.
        options: OPTIONS is answered as GET is, for load balancers that check with it.
    """

    path: str
    handler: Handler
    cost: Cost
    summary: str
    answers: Mapping[int, str | list[str] | Schema] = field(default_factory=dict)
    text: Mapping[str, Schema] = field(default_factory=dict)
    below_leader: bool = True
    options: bool = False

    @property
    def method(self) -> str:
        """`get` or `post`."""
        return "post" if self.cost is Cost.CHANGE else "get"
