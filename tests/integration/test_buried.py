"""What people learn of a leader that fell silent and was buried: status, history, log."""

from __future__ import annotations

import logging

import pytest

from leader_async import Connection, connect
from leader_async.cli.checks import FAIL, OK, WARN
from leader_async.cli.doctor import _silence
from leader_async.election.rules.explain import explained
from leader_async.zookeeper import messages as m

from ..support.proxy import Proxy
from ..support.zookeeper import Server
from .playing import leads, running, until

pytestmark = pytest.mark.timeout(60)
LEASE = 1.0


async def test_a_leader_that_fell_silent_is_buried_and_all_say_so(
    standalone: Server, near: Connection, proxy: Proxy, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "leader_async")
    async with connect(proxy.address, timeout=10.0) as far:
        old = far.election(name, identity="replica-1", lease=LEASE)
        new = near.election(name, identity="replica-2", lease=LEASE)
        async with running(old):
            await leads(old)
            async with running(new):
                await until(lambda: new.status().silence is not None)
                assert (new.status().watches, new.status().buried) == ("replica-1", 0)
                await until(lambda: old.status().silence is not None)
                assert old.status().watches == "replica-2", "its heir"
                proxy.stall()
                await leads(new)
                assert new.status().buried == 1
                (line,) = (one for one in caplog.records if getattr(one, "event", "") == "buried")
                assert "replica-1 has fallen silent, it has confirmed nothing for 1." in line.getMessage()
                assert "replica-2 has deleted its znode" in line.getMessage()
                (gone, own) = await new.history()
                assert (gone.identity, gone.why, own.identity) == ("replica-1", "fell silent", "replica-2")
                assert gone.detail.startswith("it had confirmed nothing for 1.")
                assert gone.detail.endswith(" s when replica-2 deleted its znode")
                text = explained(gone, own, None, lambda at: "then")
                assert text.startswith(
                    "replica-1, term 1, had stopped leading by then: it fell silent (it had confirmed "
                )
                proxy.resume()
                await until(lambda: old.status().state == "queued", 20)


async def test_doctor_sees_a_silent_leader_and_whether_it_may_be_buried(
    standalone: Server, near: Connection, proxy: Proxy, name: str
) -> None:
    async with connect(proxy.address, timeout=10.0) as far:
        old = far.election(name, identity="replica-1", lease=LEASE)
        async with running(old):
            await leads(old)
            await near.wait_connected()
            may, pulse = await _silence(near, old.parent)
            assert (may.level, pulse.about, pulse.text[:8]) == (OK, "pulse of replica-1", "it beats")
            rights = m.Permission.READ | m.Permission.WRITE | m.Permission.CREATE | m.Permission.ADMIN
            await near.client.request(m.SetAccess(old.parent, (m.Access(int(rights), "world", "anyone"),)))
            proxy.stall()
            may, pulse = await _silence(near, old.parent)
            assert (may.level, "may not delete znodes below" in may.text) == (WARN, True)
            assert (pulse.level, "longer than its lease of 1 s" in pulse.text) == (FAIL, True)
            assert len(await near.election(name, identity="other").candidates()) == 1, "it changes nothing"
            await near.client.request(m.SetAccess(old.parent, m.OPEN))
            proxy.resume()
