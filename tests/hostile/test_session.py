"""A session between an owner who calls as it likes and a server that says what it likes; see `supervised`."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from leader_async.zookeeper import messages as m
from leader_async.zookeeper.session import Phase
from leader_async.zookeeper.wire import server

from . import frames
from .supervised import UNSENDABLE, Supervised

cuts = st.lists(st.integers(0, 120), max_size=4)
spoils = st.lists(
    st.builds(frames.Spoil, st.sampled_from(frames.Spoiling), st.integers(0, 120), st.integers(0, 255)), max_size=2
)
seconds = st.sampled_from([0.0, 0.1, 1.0, 2.0, 7.0])
errors = st.sampled_from([0, 0, 0, -101, -112, -118, 7])
timeouts = st.sampled_from([6.0, 4.0, 0.001, 0.0, -1.0, 2147483.0])

rare = st.integers(0, 5).map(lambda number: number == 5)


def spoilt(data: bytes, spoils: list[frames.Spoil]) -> bytes:
    """What is left of a frame."""
    for spoil in spoils:
        data = spoil(data)
    return data


class Sessions(RuleBasedStateMachine):
    """Everything that an owner and a server can do. What ends a connection is rare."""

    def __init__(self) -> None:
        super().__init__()
        self.it = Supervised()

    def is_down(self) -> bool:
        return self.it.session.phase is Phase.DOWN

    def is_shaking(self) -> bool:
        return self.it.session.phase is Phase.SHAKING

    def is_up(self) -> bool:
        return self.it.session.phase is Phase.UP

    def is_over(self) -> bool:
        return self.it.session.phase is Phase.OVER

    def is_asked(self) -> bool:
        return self.it.is_asked

    @precondition(is_down)
    @rule(patience=seconds)
    def opens(self, patience: float) -> None:
        self.it.open(patience)

    @precondition(is_shaking)
    @rule(cuts=cuts)
    def greets(self, cuts: list[int]) -> None:
        self.it.hear(self.it.greeting(), cuts)

    @precondition(is_up)
    @rule(requests=st.lists(st.sampled_from(frames.REQUESTS), min_size=1, max_size=4), within=st.none() | seconds)
    def sends(self, requests: list[m.Request], within: float | None) -> None:
        for request in requests:
            self.it.send(request, within)

    @precondition(is_asked)
    @rule(error=errors, cuts=cuts)
    def answers(self, error: int, cuts: list[int]) -> None:
        self.it.hear(self.it.answer(error), cuts)

    @rule(event=st.sampled_from(frames.WATCHED), cuts=cuts)
    def tells_of_a_change(self, event: m.Watched, cuts: list[int]) -> None:
        self.it.hear(server.encode_watched(event), cuts)

    @rule(seconds=seconds)
    def is_busy(self, seconds: float) -> None:
        self.it.wait(seconds)

    @rule()
    def ticks(self) -> None:
        self.it.tick()

    @rule()
    def waits_for_the_deadline(self) -> None:
        self.it.wait_for_the_deadline()

    @rule(request=st.sampled_from(UNSENDABLE + frames.REQUESTS[:1]), patience=seconds)
    def calls_at_the_wrong_time(self, request: m.Request, patience: float) -> None:
        self.it.send(request)
        if not self.is_down():
            self.it.open(patience)

    @precondition(is_shaking)
    @rule(same=st.booleans(), timeout=timeouts, spoils=spoils, cuts=cuts)
    def greets_badly(self, same: bool, timeout: float, spoils: list[frames.Spoil], cuts: list[int]) -> None:
        self.it.hear(spoilt(self.it.greeting(same=same, timeout=timeout), spoils), cuts)

    @precondition(is_asked)
    @rule(error=errors, spoils=spoils, cuts=cuts)
    def answers_badly(self, error: int, spoils: list[frames.Spoil], cuts: list[int]) -> None:
        self.it.hear(spoilt(self.it.answer(error), spoils), cuts)

    @rule(sure=rare, frame=st.sampled_from(frames.FROM_SERVER) | st.binary(max_size=60), spoils=spoils, cuts=cuts)
    def says_what_nobody_expects(self, sure: bool, frame: bytes, spoils: list[frames.Spoil], cuts: list[int]) -> None:
        if sure:
            self.it.hear(spoilt(frames.INT.pack(len(frame)) + frame, spoils), cuts)

    @rule(sure=rare)
    def hangs_up(self, sure: bool) -> None:
        if sure:
            self.it.hang_up()

    @rule(sure=rare)
    def drops(self, sure: bool) -> None:
        if sure:
            self.it.drop()

    @rule(sure=rare)
    def closes(self, sure: bool) -> None:
        if sure:
            self.it.close()

    @precondition(is_over)
    @rule()
    def begins_anew(self) -> None:
        self.it = Supervised()

    def teardown(self) -> None:
        self.it.close()
        self.it.drop()


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=True, database=None
)
