"""Other people's clients at the embedded server: kazoo, and Curator where it can be had."""

from __future__ import annotations

import importlib
import os
import queue
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from leader_async.testing import ZooKeeper, zookeeper

from ..support import reporting

__all__ = ["zookeeper"]

kazoo: Any = importlib.import_module("kazoo.client")
exceptions: Any = importlib.import_module("kazoo.exceptions")
security: Any = importlib.import_module("kazoo.security")


def test_what_kazoo_sends_as_null(zookeeper: ZooKeeper) -> None:
    """An empty id in an access list, and data that is not given."""
    one, two = (kazoo.KazooClient(hosts=zookeeper.address, timeout=1.0) for _ in range(2))
    try:
        one.start(10)
        two.start(10)
        one.add_auth("digest", "me:secret")
        assert one.create("/mine", b"x", acl=security.CREATOR_ALL_ACL) == "/mine"
        assert one.get_acls("/mine")[0][0].id.id.startswith("me:")
        with pytest.raises(exceptions.NoAuthError):
            two.get("/mine")
        with pytest.raises(exceptions.MarshallingError):
            one.create("/nobody's", acl=[security.ACL(31, security.Id("world", ""))])
        one.create("/null", None)
        one.create("/empty", b"")
        assert (one.get("/null")[0], one.get("/empty")[0]) == (None, b"")
        one.set("/empty", None)
        assert one.get("/empty")[0] is None
        with pytest.raises(exceptions.ConnectionLoss):
            two.create("/large", bytes(2**20))
    finally:
        for client in (one, two):
            client.stop()
            client.close()


def test_kazoos_recipes(zookeeper: ZooKeeper) -> None:
    one, two = (kazoo.KazooClient(hosts=zookeeper.address, timeout=1.0) for _ in range(2))
    try:
        one.start(10)
        two.start(10)
        transaction = one.transaction()
        transaction.create("/t", b"")
        transaction.check("/t", 0)
        assert transaction.commit() == ["/t", True]
        heard: queue.Queue[list[str]] = queue.Queue()
        two.ChildrenWatch("/t")(heard.put)
        assert heard.get(timeout=10) == []
        one.create("/t/x", ephemeral=True)
        assert heard.get(timeout=10) == ["x"]
        with one.Lock("/lock", "one"):
            assert not two.Lock("/lock", "two").acquire(blocking=False)
        party = one.Party("/party", "one")
        party.join()
        assert list(two.Party("/party", "two")) == ["one"]
    finally:
        for client in (one, two):
            client.stop()
            client.close()


def test_curators_recipes(zookeeper: ZooKeeper) -> None:
    """Persistent watches, set again and taken back; groups; containers; several reads at once."""
    jars = sorted(Path(os.environ.get("LEADER_ASYNC_TEST_CURATOR_HOME", "/nowhere")).glob("*.jar"))
    if not jars or shutil.which("javac") is None:
        what = "Curator 5 at the embedded server"
        remedy = "set LEADER_ASYNC_TEST_CURATOR_HOME to a folder with its jars and ZooKeeper's, and install a JDK"
        reporting.NOT_RUN[what] = f"no Curator 5 or no javac here; {remedy}"
        pytest.skip(what)  # also in CI: Debian has an older one only
    source = Path(__file__).with_name("Clients.java")
    command = ["java", "-cp", ":".join(map(str, jars)), str(source), zookeeper.address]
    told = subprocess.run(command, capture_output=True, text=True, timeout=19, check=False)
    assert told.stdout.splitlines() == [
        "created /cache/b",
        "changed /cache/a",
        "deleted /cache/b",
        "members [here, there]",
        "members [here]",
        "set",
        "NodeCreated /cache/c",
        "leads true",
        "1 [] 2 2",
    ], told.stderr
