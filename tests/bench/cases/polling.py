"""Polls of `is-leader`: how many a second, and how long the slowest take.

Against a bare aiohttp handler that answers with the same text; both directly and through nginx; and with ZooKeeper
gone. They take turns of a tenth of a second. A process of its own polls, over connections that stay for a turn.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from deploy import servers as deployed

from ...support.zookeeper import free_ports
from ..bench import Bench
from ..figures import Figure
from ..systems import OURS, ROOT

PATH = "/api/LeaderElection/is-leader"
CONNECTIONS = 16
SLICE = 0.1
"""Seconds of a turn."""
BARE = "bare aiohttp handler"


async def polls(bench: Bench) -> list[Figure]:
    """Polls per second and their times."""
    ports = dict(zip((OURS, BARE), free_ports(2), strict=True))
    figures = []
    with ExitStack() as stack:
        async with bench.zookeeper() as zookeeper:
            for command in _commands(zookeeper.address, ports):
                _start(stack, command, bench.folder)
            for port in ports.values():
                await _answers(port)
            figures += await _take_turns(bench, "is-leader", ports)
            nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
            if nginx is None:
                bench.say("LEFT OUT: polls through nginx: no nginx here; apt install nginx-light")
            else:
                before = _balance(stack, nginx, bench.folder, ports)
                for port in before.values():
                    await _answers(port)
                figures += await _take_turns(bench, "is-leader through nginx", before)
            zookeeper.servers[0].kill()
            await asyncio.sleep(7.0)  # longer than its session and its lease
            figures += await _take_turns(bench, "is-leader while ZooKeeper is down", ports)
    return figures


def _commands(zookeeper: str, ports: dict[str, int]) -> list[list[str]]:
    serve = ["serve", "--zookeeper", zookeeper, "--identity", "replica-1", "--log-level", "error"]
    return [
        [sys.executable, "-m", "leader_async", *serve, "--port", str(ports[OURS])],
        [sys.executable, "-m", "tests.bench.bare_http", str(ports[BARE])],
    ]


def _balance(stack: ExitStack, nginx: str, folder: Path, ports: dict[str, int]) -> dict[str, int]:
    """An nginx in front of each, with the configuration that `make up` uses; returns their ports."""
    before = dict(zip(ports, free_ports(len(ports)), strict=True))
    for number, (system, port) in enumerate(ports.items()):
        place = folder / f"nginx-{number}"
        deployed.write_nginx_conf(place, before[system], [port])
        _start(stack, deployed.nginx_command(nginx, place), folder)
    return before


def _start(stack: ExitStack, command: Sequence[str], folder: Path) -> None:
    with (folder / "polls.log").open("ab") as log:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log, env=environment)

    def end() -> None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)


async def _answers(port: int) -> None:
    """Return when something answers at that port with the answer of one that leads."""
    async with asyncio.timeout(30):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(f"GET {PATH} HTTP/1.0\r\nHost: bench\r\n\r\n".encode())
                answer = await reader.read(-1)
                writer.close()
                if answer.endswith(b"True"):
                    return
            except OSError:
                pass
            await asyncio.sleep(0.05)


async def _take_turns(bench: Bench, case: str, ports: dict[str, int]) -> list[Figure]:
    turns = bench.some(15, 200)
    arguments = [PATH, str(CONNECTIONS), str(SLICE), str(turns), *map(str, ports.values())]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.polling", *arguments, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"polls failed: {case}")
    slices = dict(zip(ports, json.loads(output), strict=True))
    rates = {system: [len(taken) / seconds for seconds, taken in slices[system]] for system in ports}
    figures = []
    for system in ports:
        # Of each turn, because the machine is faster in one turn than in another.
        to_bare = median(ours / bare for ours, bare in zip(rates[system], rates[BARE], strict=True))
        other = {"polls_per_second": median(rates[system]), "rate_to_bare_handler": to_bare}
        times = [one for _, taken in slices[system] for one in taken]
        figures.append(Figure(case, system, times, other))
    return figures
