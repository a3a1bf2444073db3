"""What the conformance suite does not reach: copies, counters at their end, hosts that share a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, repeat
from types import FrameType

import pytest

from leader_async.embedded.access import allows, settle
from leader_async.embedded.alone import Alone
from leader_async.embedded.entries import CloseSession, Entry, OpenSession
from leader_async.embedded.expiry import Expiry
from leader_async.embedded.host import ENOUGH, Host
from leader_async.embedded.quorum import Ticket
from leader_async.embedded.reading import Asker, ReadHandler
from leader_async.embedded.tree import LAST_NUMBER, Refused, Tree
from leader_async.embedded.watches import Watches
from leader_async.zookeeper import foreign, wire
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.identity import digest_of

OPEN = OpenSession(6.0, b"secret")
ADMIN_ONLY = (m.Access(int(m.Permission.ADMIN), "world", "anyone"),)


def tree() -> Tree:
    made = Tree()
    made.apply(Entry(1, OPEN))
    return made


def test_a_copy_goes_its_own_way() -> None:
    one = tree()
    one.apply(Entry(1, m.Create("/a", ephemeral=True)))
    one.apply(Entry(1, m.Create("/b", ephemeral=True)))
    one.apply(Entry(1, m.Delete("/b")))
    other = one.copy()
    assert dict(other.walk()) == dict(one.walk())
    assert other.owned(1) == ("/a",)
    one.apply(Entry(1, CloseSession()))
    assert one.find("/a") is None
    assert one.children("/a") == one.owned(1) == ()
    assert other.find("/a") is not None
    assert other.sessions == {1: OPEN}
    assert other.apply(Entry(1, m.Delete("/a")))[0] == m.Deleted()


def test_the_same_entries_make_the_same_tree() -> None:
    entries = [
        Entry(1, OPEN),
        Entry(1, m.Create("/a", b"x")),
        Entry(2, m.Create("/b")),
        Entry(1, m.Multi((m.Create("/a/s", sequential=True), m.Check("/missing")))),
        Entry(1, m.Create("/a/s", sequential=True), at=5.0),
    ]
    trees = Tree(), Tree()
    replies = [[each.apply(entry) for entry in entries] for each in trees]
    assert replies[0] == replies[1]
    assert dict(trees[0].walk()) == dict(trees[1].walk())
    assert replies[0][2] == (m.Failed(-112), []), "a session that does not live"
    assert replies[0][4][0] == m.Created("/a/s0000000000"), "what was undone has not counted"
    assert trees[0].zxid == 5, "what was refused has"


def test_the_counter_stays_at_its_end() -> None:
    made = tree()
    made.apply(Entry(1, m.Create("/a")))
    node = made.find("/a")
    assert node is not None
    made._nodes["/a"] = type(node)(created=LAST_NUMBER - 1)
    create = m.Create("/a/s", sequential=True)
    assert made.apply(Entry(1, create))[0] == m.Created("/a/s2147483646")
    assert made.apply(Entry(1, create))[0] == m.Created("/a/s2147483647")
    assert made.apply(Entry(1, create))[0] == m.Failed(-110)


def test_a_transaction_that_fails_leaves_everything_as_it_was() -> None:
    made = tree()
    made.apply(Entry(1, m.Multi((m.Create("/a"), m.Create("/a/b", ephemeral=True), m.Create("/c")))))
    before, owned = dict(made.walk()), made.owned(1)
    changes = (m.Delete("/a/b"), m.Delete("/a"), m.SetData("/c", b"x", 0), m.Create("/d", ephemeral=True))
    reply, happened = made.apply(Entry(1, m.Multi((*changes, m.Check("/missing")))))
    assert isinstance(reply, m.Transacted)
    assert reply.failure == (4, -101)
    assert happened == []
    assert dict(made.walk()) == before
    assert made.owned(1) == owned
    assert made.children("/a") == ("b",)


def test_bad_lists_and_paths_are_refused() -> None:
    made = tree()
    made.apply(Entry(1, m.Create("/a")))
    assert made.apply(Entry(1, m.SetAccess("/a", ())))[0] == m.Failed(-114)
    for path in ("a", "/\0"):
        assert made.apply(Entry(1, m.Create(path)))[0] == m.Failed(-8)
        assert made.apply(Entry(1, m.Delete(path)))[0] == m.Failed(-8)
    made.apply(Entry(1, m.Create("/b", access=ADMIN_ONLY)))
    assert isinstance(made.read(m.GetAccess("/b")), m.AccessList)
    with pytest.raises(Refused):
        made.read(m.GetData("/b"))


def test_addresses_prove_what_they_are_in() -> None:
    inside = (m.Access(1, "ip", "10.0.0.0/8"),)
    assert settle(inside, ()) == inside
    assert allows(inside, (("ip", "10.1.2.3"),), m.Permission.READ)
    assert not allows(inside, (("ip", "11.1.2.3"), ("digest", "a:b")), m.Permission.READ)
    assert not allows((m.Access(1, "ip", "nonsense"),), (("ip", "10.1.2.3"),), m.Permission.READ)
    assert settle((m.Access(1, "digest", "a:b:c"),), ()) is None
    assert settle((m.Access(1, "auth", ""),), (("ip", "10.1.2.3"),)) is None
    assert settle((m.Access(1, "world", "somebody"),), ()) is None
    assert digest_of(b"no colon").startswith("no colon:"), "all of it is the user's name"


def test_sessions_end_on_the_tick_after_their_timeout() -> None:
    expiry = Expiry(1.0)
    assert expiry.deadline() is None
    expiry.touch(1, 2.0, 10.5)
    expiry.touch(2, 2.0, 10.5)
    assert expiry.deadline() == 13.0
    expiry.touch(1, 2.0, 11.5)
    expiry.touch(1, 2.0, 11.0)  # late news take nothing back
    assert expiry.due(13.0) == [2]
    expiry.forget(2)
    assert expiry.due(13.9) == []
    assert expiry.due(14.0) == [1]


class Counted(float):
    """A number that counts how often it, or what was made of it, is compared."""

    compared = 0

    def __rmul__(self, other: float) -> Counted:
        return Counted(float(self) * other)

    def __lt__(self, other: float) -> bool:
        Counted.compared += 1
        return float(self) < other


def test_a_sign_of_life_costs_the_same_among_many_sessions() -> None:
    expiry, costs = Expiry(Counted(1.0)), []
    for session in range(1000):
        expiry.touch(session, 2.0 + session % 10, 10.5)
        before = Counted.compared
        assert expiry.deadline() == 13.0
        costs.append(Counted.compared - before)
    assert costs[-1] == costs[10] < 10


def test_watches_are_forgotten_with_their_connection() -> None:
    watches = Watches()
    watches.on_data("/a", 1)
    watches.on_data("/a", 2)
    watches.on_children("/a", 1)
    assert watches.count == 3
    watches.forget(1)
    assert watches.count == 1
    watches.forget(1)
    watches.forget(2)
    assert watches.count == 0


class Slow:
    """A quorum that answers when told to."""

    def __init__(self) -> None:
        self.submitted: list[tuple[Entry, Ticket]] = []
        self.syncs: list[Ticket] = []
        self.resumes: list[tuple[int, Ticket]] = []

    def submit(self, entry: Entry, ticket: Ticket) -> None:
        self.submitted.append((entry, ticket))

    def sync(self, ticket: Ticket) -> None:
        self.syncs.append(ticket)

    def touch(self, session: int, timeout: float, now: float) -> None:
        pass

    def new_session(self) -> tuple[int, bytes]:
        return 7, b"password"

    def resume(self, session: int, password: bytes, ticket: Ticket, now: float) -> None:
        self.resumes.append((session, ticket))


def replies(host: Host, number: int) -> list[tuple[int, int]]:
    """xid and error of each reply to this connection."""
    found = []
    for to, data in host.take():
        if to == number and data is not None:
            found += [wire.decode_header(frame)[::2] for frame in wire.FrameReader().feed(data)]
    return found


@pytest.fixture
def slow() -> tuple[Host, Slow, int]:
    """A host with one client that has a session."""
    quorum = Slow()
    host = Host(Tree(), quorum, timeouts=(1.0, 20.0), wall=lambda: 1.0)
    number = host.open("10.0.0.1")
    host.receive(number, wire.encode_connect(m.Connect(0, 6.0, 0, bytes(16))), 0.0)
    assert not host.greeted(number)
    host.committed(*quorum.submitted.pop())
    assert host.greeted(number)
    host.take()
    return host, quorum, number


def test_requests_wait_for_the_writes_before_them(slow: tuple[Host, Slow, int]) -> None:
    host, quorum, number = slow
    requests: list[m.Request] = [m.Create("/a"), m.Exists("/a"), m.Sync("/a"), m.Exists("/a"), m.Delete("/a"), m.Ping()]
    for xid, request in enumerate(requests, 1):
        host.receive(number, wire.encode_request(xid, request), 0.0)
    assert replies(host, number) == []
    host.committed(*quorum.submitted.pop())
    assert replies(host, number) == [(1, 0), (2, 0)]
    host.synced(quorum.syncs.pop())
    assert replies(host, number) == [(3, 0), (4, 0)]
    _, ticket = quorum.submitted.pop()
    host.refused(ticket, -118)
    assert replies(host, number) == [(5, -118), (6, 0)]


def test_what_comes_for_a_client_that_is_gone_goes_nowhere(slow: tuple[Host, Slow, int]) -> None:
    host, quorum, number = slow
    host.receive(number, wire.encode_request(1, m.Create("/a")), 0.0)
    entry, ticket = quorum.submitted.pop()
    host.lost(number)
    host.lost(number)
    host.hang_up(number)
    host.receive(number, b"more", 0.0)
    host.refused(ticket, -118)
    host.synced(ticket)
    host.resumed(7, ticket, OPEN)
    host.committed(entry, ticket)
    assert host.take() == []
    assert host.tree.find("/a") is not None
    assert not host.greeted(number)
    assert list(host.connections) == []


def test_events_are_for_those_who_may_read(slow: tuple[Host, Slow, int]) -> None:
    host, _, number = slow
    host.receive(number, wire.encode_request(1, m.Exists("/a", watch=True)), 0.0)
    host.take()
    host.committed(Entry(7, m.Create("/a", access=(m.Access(31, "digest", "a:b"),))), None)
    assert host.take() == []
    host.receive(number, wire.encode_request(1, m.Exists("/a", watch=True)), 0.0)
    assert host.watches == 0
    host.committed(Entry(7, m.Create("/b")), None)
    host.receive(number, wire.encode_request(2, m.Exists("/b", watch=True)), 0.0)
    host.take()
    host.committed(Entry(7, m.Multi((m.Delete("/a"), m.Delete("/b")))), None)
    ((_, data),) = host.take()
    assert data is not None
    assert wire.decode_watched(data[4:]) == m.Watched(m.EventType.DELETED, "/b")


def test_a_session_goes_on_when_the_quorum_says_so(slow: tuple[Host, Slow, int]) -> None:
    host, quorum, number = slow
    again = host.open("10.0.0.1")
    host.receive(again, wire.encode_connect(m.Connect(0, 6.0, 7, b"password")), 0.0)
    assert (number, None) in host.take(), "whoever had it is hung up on"
    host.receive(again, wire.encode_request(1, m.Exists("/")), 0.0)
    assert host.take() == []
    session, ticket = quorum.resumes.pop()
    assert session == 7
    host.resumed(7, ticket, OpenSession(6.0, b"password"))
    greeting, answer = (data for _, data in host.take())
    assert greeting is not None
    assert answer is not None
    assert wire.decode_accepted(greeting[4:]) == m.Accepted(7, 6.0, b"password")


def test_two_may_be_allowed_to_go_on_with_one_session(slow: tuple[Host, Slow, int]) -> None:
    host, quorum, _ = slow
    both = [host.open("10.0.0.1") for _ in range(2)]
    for number in both:
        host.receive(number, wire.encode_connect(m.Connect(0, 6.0, 7, b"password")), 0.0)
    for session, ticket in quorum.resumes:
        host.resumed(session, ticket, OPEN)
    assert host.serving(7) == tuple(both)
    host.lost(both[0])
    assert host.serving(7) == (both[1],)
    host.lost(both[1])
    assert host.serving(7) == ()


def test_an_answer_to_many_reads_has_a_bound() -> None:
    made = tree()
    made.apply(Entry(1, m.Create("/a", bytes(2**20))))
    reader, asker = ReadHandler(made, Watches()), Asker(1, 1, ())
    few, many = (foreign.ReadMany((m.GetData("/a"),) * count) for count in (4, 5))
    assert isinstance(answer := reader.answer(asker, few), foreign.ManyRead)
    assert len(answer.answers) == 4
    assert reader.answer(asker, many) == m.Failed(foreign.UNREADABLE)
    names = foreign.ReadMany((m.GetChildren("/"), m.GetChildren("/missing")))
    assert reader.answer(asker, names) == foreign.ManyRead((m.Children(("zookeeper", "a")), m.Failed(-101)))


def test_a_word_may_come_in_pieces_and_watches_are_counted() -> None:
    def passwords() -> Iterator[bytes]:
        while True:
            yield bytes(16)

    alone = Alone(tick=1.0, start=5, passwords=passwords(), wall=lambda: 1.0)
    assert alone.deadline() is None
    number = alone.host.open("::1")
    alone.host.receive(number, b"ru", 0.0)
    alone.host.receive(number, b"ok", 0.0)
    assert alone.host.take() == [(number, b"imok"), (number, None)]
    number = alone.host.open("::1")
    alone.host.receive(number, wire.encode_connect(m.Connect(0, 6.0, 0, b"")), 0.0)
    alone.host.receive(number, wire.encode_request(1, m.Exists("/x", watch=True)), 0.0)
    assert alone.host.watches == 1
    session = dict(alone.host.connections)[number]
    alone.expire(session)
    assert alone.host.watches == 0
    assert alone.host.take()[-1] == (number, None)


def calls(do: Callable[[], object]) -> int:
    """How many functions are called, and generators resumed, by this."""
    count = 0

    def see(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        do()
    finally:
        sys.setprofile(None)
    return count


def test_a_session_ends_and_is_resumed_at_the_same_cost_among_many() -> None:
    alone, costs = Alone(tick=1.0, start=5, passwords=repeat(bytes(16)), wall=lambda: 1.0), []
    host = alone.host
    for many in (10, 1000):
        numbers = [host.open("::1") for _ in range(many)]
        for number in numbers:
            host.receive(number, wire.encode_connect(m.Connect(0, 6.0, 0, b"")), 0.0)
        sessions = dict(host.connections)
        again, resume = host.open("::1"), m.Connect(0, 6.0, sessions[numbers[-1]], bytes(16))
        closing = numbers[0], wire.encode_request(1, m.Close()), 1.0
        resuming = again, wire.encode_connect(resume), 1.0
        costs.append([calls(partial(host.receive, *it)) for it in (closing, resuming)])
        assert (numbers[0], None) in (out := host.take())
        assert (numbers[-1], None) in out
        assert host.serving(sessions[numbers[-1]]) == (again,)
    assert costs[0] == costs[1]


def test_replies_wait_for_room() -> None:
    alone = Alone(tick=1.0, start=5, passwords=repeat(bytes(16)), wall=lambda: 1.0)
    host, size = alone.host, 100_000
    number = host.open("::1")
    host.receive(number, wire.encode_connect(m.Connect(0, 6.0, 0, b"")), 0.0)
    host.receive(number, wire.encode_request(1, m.Create("/a", bytes(size))), 0.0)
    host.take()
    host.receive(number, b"".join(wire.encode_request(xid, m.GetData("/a")) for xid in range(2, 12)), 0.0)
    host.receive(number, wire.encode_request(12, m.Delete("/a")), 0.0)
    taken: list[list[int]] = []
    for now in count(step=5.0):  # the session's timeout is 6 s, and it reads slowly
        if taken and not host.waits(number):
            break
        taken.append([xid for xid, _ in replies(host, number)])
        host.go_on(number, now)
        alone.tick(now)
    taken.append([xid for xid, _ in replies(host, number)])
    assert [xid for some in taken for xid in some] == list(range(2, 13)), "in order, and none is lost"
    assert max(map(len, taken)) * size < ENOUGH + size
    host.lost(number)
    host.go_on(number, now)
    assert not host.waits(number)


def test_no_session_ends_during_an_outage() -> None:
    """However long it takes: here the clock of the one who is away goes on for as long as anything lasts."""
    alone = Alone(tick=1.0, start=5, passwords=repeat(bytes(16)), wall=lambda: 1.0)
    number = alone.host.open("::1")
    alone.host.receive(number, wire.encode_connect(m.Connect(0, 6.0, 0, b"")), 0.0)
    alone.host.lost(number)
    alone.restart(1000.0)
    alone.tick(1005.9)
    assert len(alone.host.tree.sessions) == 1
    assert alone.deadline() == 1007.0
    alone.tick(1007.0)
    assert not alone.host.tree.sessions
