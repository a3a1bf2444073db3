"""`leader-async zookeeper`, run as a process."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys

import pytest

from leader_async import NodeExists, connect
from leader_async.zookeeper import messages as m

from .test_main import command, environment, run

pytestmark = pytest.mark.timeout(60)


def test_it_says_what_it_is_not() -> None:
    told = run("zookeeper", "--help").stdout
    assert "keeps nothing on disk" in told
    assert "matters" in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *command("zookeeper", "--port", "0"), env=environment(), stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        line = (await process.stderr.readline()).decode()
        found = re.search(r"embedded ZooKeeper at (\S+) \(in memory", line)
        assert found, line
        async with connect(found[1], timeout=5.0) as zk:
            await zk.wait_connected()
            assert await zk.client.request(m.Create("/a", b"data")) == m.Created("/a")
            with pytest.raises(NodeExists):
                await zk.client.request(m.Create("/a"))
            process.send_signal(number)
            rest = (await process.communicate())[1].decode()
        assert process.returncode == 0
        assert "everything that was stored is gone" in rest
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_a_taken_port_ends_with_3() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("zookeeper", "--port", str(taken.getsockname()[1]))
    assert result.returncode == 3
    assert "Address already in use" in result.stderr
    assert "--port" in result.stderr


@pytest.mark.parametrize("arguments", [("--tick", "0"), ("--port", "-1"), ("--log-level", "loud")])
def test_wrong_usage_ends_with_2(arguments: tuple[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:  # which would be told next
        result = run("zookeeper", "--port", str(taken.getsockname()[1]), *arguments)
    assert result.returncode == 2
    assert arguments[0].removeprefix("--") in result.stderr
    assert "Traceback" not in result.stderr


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "leader_async", "zookeeper", "--help"], capture_output=True, text=True, check=True
    )
    assert "in memory" in done.stdout
