"""Nothing is decided by what a candidacy remembers for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from leader_async.election.rules import candidacy
from leader_async.election.rules import record as r
from leader_async.election.rules.candidacy import Candidacy
from leader_async.election.rules.effects import Command, Purpose, Send
from leader_async.election.rules.lease import Hold
from leader_async.election.rules.state import Role
from leader_async.election.rules.story import Story
from leader_async.zookeeper import messages as m
from tests.properties.world import PARENT, World

from ..stage import Stage


class Forgetful(Story):
    """It remembers nothing, and tells nothing."""

    def claiming(self, view: object) -> tuple[r.Row, ...]:
        return ()

    def past(self, hold: Hold) -> tuple[r.Row, ...]:
        return ()

    def how(self, hold: Hold) -> None:
        return None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value if name == "_own" else 0 if name == "healed" else None)


def plain(operation: Any) -> Any:
    """A write of the record without what it tells of the terms before."""
    if isinstance(operation, m.Multi):
        return tuple(map(plain, operation.operations))
    if isinstance(operation, m.SetData) and operation.path == PARENT:
        # Its own version does not matter here, but whether that is even does.
        record = r.decode(operation.data, 1 if b'"left"' in operation.data else 2, PARENT)
        return operation.version, replace(record, past=())
    return operation


def hand_over(world: World) -> None:
    first, second, third = world.processes
    first.candidacy.resign(first.now)
    first.carry_out()
    world.settle(wait=2.0)
    last = world.appointee(-1)
    assert last is not None
    leader = next(process for process in world.processes if process.leads)
    leader.candidacy.transfer(last, leader.now)
    leader.carry_out()
    world.settle(wait=2.0)
    third.candidacy.leave(third.now)
    third.carry_out()
    second.candidacy.resign(second.now)
    second.carry_out()
    world.settle(wait=10.0)


def lose(world: World) -> None:
    for process in world.processes:
        process.candidacy.resign(process.now)
        process.carry_out()
        process.cut(1)
        process.connect()
        world.settle(wait=2.0)


def expire(world: World) -> None:
    for process in world.processes:
        world.ensemble.expire(process.session)
        world.settle(wait=15.0)


def meddle(world: World) -> None:
    world.delete_by_a_stranger(f"{PARENT}/{world.znodes()[0][0]}")
    world.settle(wait=15.0)
    world.delete_election()
    world.settle(wait=60.0)


def test_what_is_written_down_is_told_no_more() -> None:
    stage = Stage(history=True)
    stage.lead("b-n_0000000006")
    story, hold = stage.candidacy.story, stage.candidacy.hold
    assert hold is not None
    story.written([])
    (own,) = story.untold(hold)
    assert (own.term, own.token, own.identity) == (hold.number, hold.token, "me")
    story.written([own])
    assert story.untold(hold) == ()
    assert story.past(hold) == ()
    stage.candidacy.own.read_record(Role.FOLLOWER)
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, r.Record(1, hold.holder, r.LeadState.HELD, 3.0, "me", ""), hold.version, mzxid=hold.token)
    assert story.untold(hold) == (), "nor when the record is read once more"


@pytest.mark.parametrize("what", [hand_over, lose, expire, meddle])
def test_who_remembers_nothing_does_the_same(what: Callable[[World], None]) -> None:
    def effects(story: type[Story]) -> list[Any]:
        said: list[Any] = []
        real = Candidacy.next_command

        def taken(own: Candidacy) -> Command | None:
            command = real(own)
            if isinstance(command, Send):
                said.append((own.uuid, command.purpose, command.about, plain(command.request)))
            elif command is not None:
                said.append((own.uuid, type(command)))
            return command

        with mock.patch.object(candidacy, "Story", story), mock.patch.object(Candidacy, "next_command", taken):
            world = World(3)
            for process in world.processes:
                process.join()
            world.settle(wait=1.0)
            what(world)
        return said

    usual = effects(Story)
    assert usual == effects(Forgetful)
    assert any(isinstance(each[-1], tuple) for each in usual)
