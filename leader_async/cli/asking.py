"""What the commands that ask share: flags, a connection with a limit, answers for people and for programs, exit codes.

Rules: a command asks an election in ZooKeeper, or with `--url` one replica. It never joins. If that does not answer
within `--timeout`, what asks raises `Away`, and the command prints one line and ends with exit code 6.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NoReturn, TypeVar

import click

from .. import arguments
from ..errors import AuthFailed, LeaderAsyncError, NoAuth, StoredError, UsageError
from ..logs import one_line
from ..zookeeper.identity import Identity
from ..zookeeper.tls import TLS
from . import options
from .exits import Command, Exit, end, print_error, print_lines

T = TypeVar("T")

EXITS = """\b
Exit codes: 0 done, 1 the answer is no (nobody leads, nothing was found, it cannot be read, refused), 2 wrong usage,
6 ZooKeeper or the replica did not answer within --timeout, or the replica has lost ZooKeeper,
77 ZooKeeper does not let us look.
"""
SETTINGS = {"auto_envvar_prefix": "LEADER_ASYNC", "max_content_width": 100, "help_option_names": ["-h", "--help"]}

SILENCE = 15.0
"""Seconds without an event after which a stream is dead: a replica sends one every five."""
AGAIN = 1.0
"""Seconds between two attempts to have a stream that has ended."""
LONGEST = 2**24
"""Bytes of the longest event that is read: the queue of a hundred thousand candidates."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to ask, and how: the values of `FLAGS`. The durations are in seconds."""

    zookeeper: str
    auth: Identity | None
    tls: TLS | None
    election: str
    root: str
    session_timeout: float
    url: str | None
    timeout: float
    as_json: bool


class Away(Exception):
    """There is no answer; the message says from where and why."""


class Declined(Exception):
    """The answer is no; the message says why."""


FLAGS = options.flags(
    options.zookeeper,
    click.option("--election", default="leader", show_default=True, metavar="NAME", help="Which election."),
    options.root,
    click.option("--session-timeout", default=6.0, show_default=True, metavar="SECONDS",
                 type=click.FloatRange(arguments.SHORTEST, arguments.LONGEST),
                 help="The session timeout to ask ZooKeeper for."),
    click.option("--url", default=None, metavar="URL", help="Ask this replica over HTTP, not ZooKeeper."),
    click.option("--timeout", default=5.0, show_default=True, type=click.FloatRange(0.1, 3600), metavar="SECONDS",
                 help="How long to wait for an answer."),
    click.option("--json", "as_json", is_flag=True, help="Answer in JSON."),
)  # fmt: skip
"""Of every command that asks; see `Target`."""


def command(function: Callable[..., None]) -> click.Command:
    """A command that asks: the function gets the `Target` first, then its own flags and arguments."""

    @functools.wraps(function)
    def asks(**given: Any) -> None:
        function(Target(**{one.name: given.pop(one.name) for one in fields(Target)}), **given)

    return click.command(cls=Command, epilog=EXITS, context_settings=SETTINGS)(FLAGS(asks))


token_file = click.option(
    "--resign-token-file", default=None, metavar="FILE",
    help="File with the replicas' bearer token; or the variable LEADER_ASYNC_RESIGN_TOKEN.",
)  # fmt: skip


def token_for(doing: str, file: str | None) -> str:
    """The replicas' bearer token, which `doing` needs."""
    token = options.bearer_token(file)
    if token is None:
        raise click.UsageError(f"{doing} needs the replicas' token: --resign-token-file or LEADER_ASYNC_RESIGN_TOKEN")
    return token


def ask(work: Coroutine[Any, Any, T]) -> T:
    """Run this to its end; errors become one line and an exit code."""
    for text in options.readable_secrets():
        print_error(text)
    # What goes wrong is in the answer. A bug is not: it is logged as everywhere.
    log = logging.getLogger("leader_async")
    log.propagate = False
    log.addHandler(quiet := logging.NullHandler())
    try:
        # Not asyncio.run, which waits for a name that is being looked up in a thread.
        return asyncio.new_event_loop().run_until_complete(work)
    except UsageError:
        raise  # wrong usage, see `Command`
    except (Declined, StoredError) as error:
        _end(str(error), Exit.NO)
    except (NoAuth, AuthFailed) as error:
        _end(str(error), Exit.DENIED)
    except (Away, LeaderAsyncError) as error:
        _end(str(error), Exit.AWAY)
    except KeyboardInterrupt:
        _end("", 130)
    finally:
        log.propagate = True
        log.removeHandler(quiet)


def _end(text: str, code: int) -> NoReturn:
    print_error(text)
    end(code)


@asynccontextmanager
async def election_of(target: Target) -> AsyncIterator[tuple[Any, Any]]:
    """The connection and the election, once a server serves them."""
    from ..connection import connect

    async with connect(target.zookeeper, timeout=target.session_timeout, auth=target.auth, tls=target.tls) as zk:
        election = zk.election(target.election, root=target.root)
        try:
            async with asyncio.timeout(target.timeout):
                await zk.wait_connected()
        except TimeoutError as error:
            why = zk.client.status().last_error or "no answer"
            raise Away(
                f"ZooKeeper at {target.zookeeper} does not answer within {target.timeout:g} s: {why}; "
                "is --zookeeper right?"
            ) from error
        yield zk, election


async def in_time(target: Target, answer: Awaitable[T]) -> T:
    """This answer, inside the limit."""
    try:
        async with asyncio.timeout(target.timeout):
            return await answer
    except TimeoutError as error:
        raise Away(f"ZooKeeper at {target.zookeeper} does not answer within {target.timeout:g} s") from error


async def fetch(target: Target, path: str, *, method: str = "GET", token: str | None = None) -> tuple[int, Any]:
    """What a replica answers: the status and the JSON."""
    import aiohttp

    assert target.url is not None
    url = target.url.rstrip("/") + path
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        limit = aiohttp.ClientTimeout(total=target.timeout)
        async with aiohttp.ClientSession(timeout=limit, headers=headers) as session:
            async with session.request(method, url, allow_redirects=False) as answer:
                return answer.status, json.loads(await answer.text())
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError) as error:
        raise Away(f"{url} cannot be asked: {error or 'no answer in time'}") from error


def refusal(target: Target, code: int, body: dict[str, Any]) -> Declined:
    """Why a replica does not do what only the leader can, by its answer; and which replica leads, if it knows."""
    leader = body.get("leader_address") or body.get("leader") if code == 503 else None
    hint = f"; {leader} leads, ask that one" if leader else ""
    return Declined(f"{target.url} answers {code}: {body.get('error', 'it does not lead')}{hint}")


async def events(target: Target) -> AsyncIterator[tuple[str, Any]]:
    """The events of a replica from now on, without end: their names and data.

    A stream that ends is asked for again, since the replica, or the one that a load balancer chooses, may be back soon.
    Only one that does not begin at first raises `Away`.
    """
    began = printed = False
    while True:
        try:
            async for event in _stream(target):
                began, printed = True, False
                yield event
            silent = f"{target.url} has ended the stream"
        except Away as error:
            if not began:
                raise
            silent = str(error)
        if not printed:
            print_error(f"{silent}; it is asked again until it answers")
            printed = True
        await asyncio.sleep(AGAIN)


async def _stream(target: Target) -> AsyncIterator[tuple[str, Any]]:
    """One stream of server-sent events, to its end."""
    import aiohttp

    assert target.url is not None
    url = target.url.rstrip("/") + "/events"
    limit = aiohttp.ClientTimeout(total=None, sock_connect=target.timeout, sock_read=SILENCE)
    try:
        async with aiohttp.ClientSession(timeout=limit, read_bufsize=LONGEST) as session:
            async with asyncio.timeout(target.timeout):
                answer = await session.get(url, allow_redirects=False)
            async with answer:
                if answer.status != 200:
                    raise Away(f"{url} answers {answer.status}")
                name = ""
                async for line in answer.content:
                    field, _, value = line.decode().rstrip("\n").partition(": ")
                    if field == "event":
                        name = value
                    elif field == "data":  # always one line
                        yield name, json.loads(value)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError) as error:
        raise Away(f"{url} cannot be asked: {error or 'no answer in time'}") from error


async def page(target: Target, path: str) -> Any:
    """A page that a replica must have."""
    status, body = await fetch(target, path)
    if status != 200:
        raise Away(f"{target.url}{path} answers {status}: {body.get('error', '') if isinstance(body, dict) else ''}")
    return body


def show(target: Target, data: object, *lines: str) -> None:
    """Print the answer: the data for programs, or the lines for people, as the target has it."""
    if target.as_json:
        click.echo(one_line(json.dumps(data, ensure_ascii=False), json.dumps))
    else:
        print_lines(*lines)


def clock_time(seconds: float | None) -> str:
    """A wall-clock time in this machine's time zone, which it names."""
    try:
        return "?" if not seconds else datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    except (ValueError, OverflowError, OSError):
        return "?"  # what others have written need not be a time
