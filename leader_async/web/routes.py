"""The table of all routes. To add one, write its handler and a row here; a new shape has its dataclass, or its
fields, in `openapi.SHAPES`.

What changes something is a POST with the bearer token in a header, which no form and no link of another site can send:
there is nothing to forge. What only reads has no secret in it: a client that reaches the port may read it, under any
name of its host (so may a page that makes a browser ask 127.0.0.1 under a name of its own).
"""

from __future__ import annotations

from aiohttp import web

from . import answers, events, handlers, metrics, openapi, page
from .route import Cost, Route

MEMORY, ONCE, READ, STREAM, CHANGE = Cost
TEXT = {"type": "string"}
LINE = {"type": "string", "pattern": "^.* - (True|False)$"}
EVENTS = (
    "Server-sent events: `status`, `lease`, `queue`, `terms`, `jobs`, `beat`; the data of each is one of the schemas "
    "`StatusEvent` to `BeatEvent`, and the whole of its part. A `token` is a string of digits here, since JavaScript's "
    "numbers are exact below 2^53 only, and a number everywhere else."
)


async def description(request: web.Request) -> web.Response:
    """What all the routes answer."""
    return _description()


ROUTES = (
    Route("/api/LeaderElection/is-leader", handlers.is_leader, MEMORY,
          "The poll: `<identity> - True` or `<identity> - False`.", {200: "IsLeader"}, {"text/plain": LINE}),
    Route("/leader", handlers.leader, MEMORY, "200 from the leader, 503 from every other replica.",
          {200: "Role", 503: "Role"}, below_leader=False, options=True),
    Route("/follower", handlers.follower, MEMORY, "200 from a follower, 503 from the leader.",
          {200: "Role", 503: "Role"}, options=True),
    Route("/healthz", handlers.healthz, MEMORY, "503: restart this replica. Does not depend on ZooKeeper.",
          {200: "Health", 503: "Error"}),
    Route("/readyz", handlers.readyz, MEMORY, "503: not connected, or not in the queue.",
          {200: "Readiness", 503: "Error"}),
    Route("/status", handlers.status, MEMORY, "All that this replica knows, from memory.", {200: "Status"}),
    Route("/candidates", handlers.candidates, READ, "The queue, read from ZooKeeper.", {200: ["Candidate"]}),
    Route("/history", handlers.history, READ, "The latest terms and why they ended, read from ZooKeeper.",
          {200: ["Term"]}),
    Route("/jobs", handlers.jobs, READ, "All jobs, their last runs and next slots, read from ZooKeeper.",
          {200: ["Job"]}),
    Route("/jobs/{name}", handlers.job, READ, "One of them.", {200: "Job", 404: "Error"}),
    Route("/events", events.events, STREAM, EVENTS, text={"text/event-stream": TEXT}),
    Route("/openapi.json", description, ONCE, "This description.", {200: {"type": "object"}}),
    Route("/metrics", metrics.page, ONCE, "This replica's metrics, for Prometheus.", text={"text/plain": TEXT},
          below_leader=False),  # a load balancer would mix the counters of one leader with those of the next
    Route("/", page.page, MEMORY, "The live page; a few lines of text for clients that do not ask for HTML.",
          text={"text/html": TEXT, "text/plain": TEXT}, below_leader=False),
    *(Route(f"/assets/{name}", page.asset(name, kind), ONCE, "A file of the page.", text={kind: TEXT},
            below_leader=False) for name, kind in page.ASSETS.items()),
    Route("/resign", handlers.resign, CHANGE, "Hand over to the next in the queue.",
          {200: "Resigned", 409: "Error", 503: "Error", 504: "Error"}),
    Route("/jobs/{name}/run", handlers.run_now, CHANGE, "Run a job now, at the leader.",
          {202: "Asked", 404: "Error", 409: "Error", 503: "Error"}),
)  # fmt: skip

_description = answers.Constant(
    answers.json_text(openapi.description(ROUTES)).encode(), "application/json; charset=utf-8"
)
