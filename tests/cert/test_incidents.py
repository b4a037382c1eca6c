"""The state machine of incidents: which steps exist, who may take them, and what a closed one must have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cert.errors import CloseNeedsSummary, MoveRefused, OpenTasks, RoleNeeded
from cert.incidents import (
    ANALYST,
    LEAD,
    MOVES,
    OPEN_STATES,
    Severity,
    State,
    Tlp,
    check_close,
    check_move,
    moves_from,
    read_layers,
    reference,
)
from cert.layers import LAYERS, layer

ROLES = st.sampled_from([(ANALYST,), (LEAD,), (ANALYST, LEAD), ()])


@given(st.sampled_from(State), st.sampled_from(State), ROLES)
def test_a_step_is_taken_exactly_when_it_is_in_the_list_and_the_role_suffices(
    start: State, end: State, roles: tuple[str, ...]
) -> None:
    allowed = any(move.start is start and move.end is end and (move.role in roles or LEAD in roles) for move in MOVES)
    try:
        check_move(start, end, roles)
    except (MoveRefused, RoleNeeded):
        assert not allowed
    else:
        assert allowed
    assert (end in moves_from(start, roles)) is allowed


def test_every_state_can_be_reached_and_every_incident_can_be_closed() -> None:
    reached, frontier = {State.NEW}, [State.NEW]
    while frontier:
        for state in moves_from(frontier.pop(), (LEAD,)):
            if state not in reached:
                reached.add(state)
                frontier.append(state)
    assert reached == set(State)
    for state in OPEN_STATES:
        assert State.CLOSED in moves_from(state, (LEAD,)) or state is State.CONTAINED


def test_only_a_lead_contains_closes_and_reopens() -> None:
    for start, end in ((State.TRIAGE, State.CONTAINED), (State.RECOVERING, State.CLOSED), (State.CLOSED, State.TRIAGE)):
        with pytest.raises(RoleNeeded):
            check_move(start, end, (ANALYST,))
        check_move(start, end, (LEAD,))


def test_a_closed_incident_tells_what_happened() -> None:
    with pytest.raises(CloseNeedsSummary):
        check_close("done          ", open_tasks=0)
    check_close("One mailbox was read; the rule is gone.", open_tasks=0)


def test_an_incident_is_not_closed_over_open_tasks() -> None:
    with pytest.raises(OpenTasks):
        check_close("One mailbox was read; the rule is gone.", open_tasks=1)


def test_severity_has_an_order_and_tlp_the_five_labels_of_version_2() -> None:
    assert [s.weight for s in Severity] == [0, 1, 2, 3]
    assert [str(label) for label in Tlp] == ["TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"]


def test_layers_are_one_to_nine_each_once_in_order() -> None:
    assert read_layers([9, 5, 9]) == [5, 9]
    assert [one.number for one in LAYERS] == list(range(1, 10))
    assert layer(9).name.en == "Security and authentication"
    for wrong in (0, 10, -1):
        with pytest.raises(KeyError):
            read_layers([wrong])
        with pytest.raises(KeyError):
            layer(wrong)


def test_a_reference_can_be_said_on_the_phone() -> None:
    assert reference(7, 2026) == "2026-007"
    assert reference(1234, 2026) == "2026-1234"


class Life(RuleBasedStateMachine):
    """An incident, pushed about by people of both roles with and without open tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.NEW
        self.tasks = 0
        self.path = [State.NEW]

    @rule(to=st.sampled_from(OPEN_STATES), roles=ROLES)
    def try_to_move(self, to: State, roles: tuple[str, ...]) -> None:
        try:
            check_move(self.state, to, roles)
        except (MoveRefused, RoleNeeded):
            assert to not in moves_from(self.state, roles)
        else:
            self.state = to
            self.path.append(to)

    @rule(summary=st.text(max_size=60), roles=ROLES)
    def try_to_close(self, summary: str, roles: tuple[str, ...]) -> None:
        try:
            check_move(self.state, State.CLOSED, roles)
            check_close(summary, open_tasks=self.tasks)
        except (MoveRefused, RoleNeeded, OpenTasks, CloseNeedsSummary):
            return
        self.state = State.CLOSED
        self.path.append(State.CLOSED)

    @rule(change=st.sampled_from([1, -1]))
    def add_or_end_a_task(self, change: int) -> None:
        if self.state is not State.CLOSED:
            self.tasks = max(0, self.tasks + change)

    @invariant()
    def nothing_is_closed_over_open_tasks(self) -> None:
        assert self.state is not State.CLOSED or self.tasks == 0

    @invariant()
    def recovery_follows_containment(self) -> None:
        for before, after in zip(self.path, self.path[1:], strict=False):
            if after in (State.ERADICATED, State.RECOVERING):
                assert before in (State.CONTAINED, State.ERADICATED)


TestLifeOfAnIncident = Life.TestCase
