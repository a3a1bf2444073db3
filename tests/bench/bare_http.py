"""The least that can answer a poll with aiohttp: `python -m tests.bench.bare_http PORT`."""

from __future__ import annotations

import sys

from aiohttp import web


async def is_leader(request: web.Request) -> web.Response:
    """What a replica that leads answers, without asking anybody."""
    return web.Response(text="replica-1 - True", headers={"Cache-Control": "no-store"})


def main() -> None:
    app = web.Application()
    app.router.add_get("/api/LeaderElection/is-leader", is_leader)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
