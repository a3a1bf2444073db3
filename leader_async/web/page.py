"""`GET /`: the live page for browsers, and a few lines of text for programs.

Rules: the page is three files of this package, with no build step and no address outside; its security policy allows
nothing but these. It shows the events of `GET /events`, and asks for nothing else.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from aiohttp import web

from . import answers
from .leading import Handler
from .negotiation import prefers_html
from .service import SERVICE

ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}

HEADERS = {
    **answers.HEADERS,
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
}

TEXT = """\
{line}
{leader} {election}.

A browser shows a live page here. For programs:
  GET /api/LeaderElection/is-leader   the first of these lines
  GET /leader, /follower              200 or 503
  GET /status, /candidates, /history, /jobs
  GET /events                         every change, as server-sent events
  GET /openapi.json                   all of this
"""


@cache
def _file(name: str, kind: str, vary: str = "") -> answers.Constant:
    body = resources.files(__package__).joinpath("static", name).read_bytes()
    return answers.Constant(body, f"{kind}; charset=utf-8", {**HEADERS, "Vary": vary} if vary else HEADERS)


async def page(request: web.Request) -> web.Response:
    """The page, or the text."""
    if prefers_html(",".join(request.headers.getall("Accept", ()))):
        return _file("page.html", "text/html", "Accept")()
    election = request.app[SERVICE].election
    known = answers.role(election.status())
    text = TEXT.format(
        line=answers.leadership(election.identity, bool(known["is_leader"])),
        leader=f"{known['leader']} leads" if known["leader"] else "Nobody is known to lead",
        election=election.name,
    )
    return web.Response(text=text, headers={**answers.HEADERS, "Vary": "Accept"})


def asset(name: str, kind: str) -> Handler:
    """What answers a file of the page."""

    async def answer(request: web.Request) -> web.Response:
        return _file(name, kind)()

    return answer
