"""One candidacy on a stage: the test plays ZooKeeper and the clock."""

from __future__ import annotations

import itertools
from typing import TypeVar

from leader_async.election.rules import record as r
from leader_async.election.rules.candidacy import Candidacy
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.election.rules.effects import (
    Command,
    ConfirmNow,
    Left,
    Note,
    Purpose,
    Send,
    StartWork,
    StopWork,
)
from leader_async.election.rules.ends import End
from leader_async.election.rules.lease import Stake
from leader_async.election.rules.state import Settings
from leader_async.errors import NoNode
from leader_async.zookeeper import messages as m

PARENT = "/ELECTION/x"
SESSION = 77
NO_NODE = m.Failed(NoNode.code)
C = TypeVar("C", bound=Command)


def held(holder: str, term: int = 1, lease: float = 3.0) -> r.Record:
    return r.Record(term, holder, r.LeadState.HELD, lease, "somebody", "")


def left(holder: str, term: int = 1) -> r.Record:
    return r.Record(term, holder, r.LeadState.LEFT, 3.0, "somebody", "")


class Stage:
    def __init__(self, *, history: bool = False) -> None:
        self.now = 100.0
        settings = Settings(PARENT, "me", "http://me", 3.0, 0.0, history)
        self.candidacy = Candidacy(settings, (f"u{n}" for n in itertools.count()), 0.5)
        self.commands: list[Command] = []

    def take(self) -> list[Command]:
        """All commands that have not been taken, the log's lines left out."""
        while (command := self.candidacy.next_command()) is not None:
            self.commands.append(command)
        taken, self.commands = self.commands, []
        return [command for command in taken if not isinstance(command, Note)]

    def the(self, kind: type[C]) -> C:
        """The only command, which is of this kind."""
        (command,) = self.take()
        assert isinstance(command, kind), command
        return command

    def sends(self, *purposes: Purpose) -> list[Send]:
        """The commands, which are requests for these purposes."""
        sends = [command for command in self.take() if isinstance(command, Send)]
        assert [send.purpose for send in sends] == list(purposes)
        return sends

    def answer(self, asked: Send, answer: m.Answer, sent: float | None = None) -> None:
        self.candidacy.answered(asked, answer, self.now if sent is None else sent, self.now)

    # -- common ways to some place ---------------------------------------------------------------------------------

    def connect(self) -> None:
        self.candidacy.connected(SESSION, 6.0, self.now)

    def enter(self, *ahead: str, number: int = 5, record: r.Record | None = None, version: int = 0) -> str:
        """Join behind these, having read this record; returns our znode's name."""
        self.connect()
        self.candidacy.join(self.now)
        (create,) = self.sends(Purpose.CREATE)
        assert isinstance(create.request, m.Create)
        self.answer(create, m.Created(f"{create.request.path}{number:010d}"))
        assert self.candidacy.znode is not None
        read, listing = self.sends(Purpose.RECORD, Purpose.LIST)
        self.read(read, record or r.Record(), version)
        self.answer(listing, m.Children((*ahead, self.candidacy.znode)))
        return self.candidacy.znode

    def read(self, asked: Send, record: r.Record, version: int, mzxid: int = 9) -> None:
        self.answer(asked, m.Data(r.encode(record), m.Stat(version=version, mzxid=mzxid)))

    def arm(self, watch: Send, data: CandidateData | None = None) -> None:
        """The watch on a znode is set, and this is what it says."""
        assert watch.request == m.GetData(f"{PARENT}/{watch.about}", watch=True)
        self.answer(watch, m.Data((data or CandidateData("somebody")).encode(), m.Stat()))

    def first(self, record: r.Record | None = None, version: int = 0) -> str:
        """Be first in the queue, having read this record."""
        znode = self.enter(record=record, version=version)
        if record is not None and record.state is r.LeadState.HELD:
            (read,) = self.sends(Purpose.RECORD)
            assert read.request == m.GetData(PARENT, watch=True)
            self.read(read, record, version)
        return znode

    def lead(self, *behind: str) -> str:
        """Lead, since now, with these behind us."""
        znode = self.first()
        (claim,) = self.sends(Purpose.CLAIM)
        self.claimed(claim)
        listing, start = self.take()
        assert isinstance(start, StartWork)
        assert isinstance(listing, Send)
        assert listing.request == m.GetChildren(PARENT)
        self.answer(listing, m.Children((znode, *behind)))
        confirm, *alone = self.take()
        assert isinstance(confirm, ConfirmNow), "the heir is told"
        assert len(alone) == (not behind)
        for asked in alone:
            assert isinstance(asked, Send)
            assert asked.request == m.GetChildren(PARENT, watch=True)
            self.answer(asked, m.Children((znode,)))
        return znode

    def stake(self) -> Stake:
        """Our part in a confirm."""
        assert self.candidacy.has_stake
        return self.candidacy.lead.stake()

    def claimed(self, claim: Send, sent: float | None = None, mzxid: int = 50) -> None:
        assert isinstance(claim.request, m.Multi)
        writes = len(claim.request.operations) - 1
        self.answer(claim, m.Transacted((m.Checked(), *[m.DataSet(m.Stat(mzxid=mzxid))] * writes)), sent)

    def refused(self, asked: Send, index: int, code: int) -> None:
        assert isinstance(asked.request, m.Multi)
        codes = [m.ROLLED_BACK] * index + [code]
        codes += [m.RUNTIME_INCONSISTENCY] * (len(asked.request.operations) - len(codes))
        self.answer(asked, m.Transacted(tuple(map(m.Failed, codes))))

    def expire_and_reconnect(self) -> None:
        self.candidacy.disconnected(self.now)
        self.candidacy.expired(self.now)
        self.candidacy.connected(SESSION + 1, 6.0, self.now)

    def end_work(self) -> None:
        self.candidacy.work_ended(self.now)

    def has_left(self) -> bool:
        return any(isinstance(command, Left) for command in self.take())

    def stopped(self) -> End:
        return self.the(StopWork).end
