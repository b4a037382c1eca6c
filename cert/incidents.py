"""What an incident is and which way it may go. Pure: no clock, no storage, no web.

Phases after NIST SP 800-61r3 (detect, respond, recover) with the names of ISO/IEC 27035; labels after TLP 2.0
(FIRST). A case is an incident in state `new`: alerts someone has put together and nobody has confirmed yet.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from cert.errors import CloseNeedsSummary, MoveRefused, OpenTasks, RoleNeeded
from cert.layers import NUMBERS

MIN_SUMMARY = 20  # characters: shorter says nothing to whoever reads it in a year


class State(StrEnum):
    """Where an incident stands."""

    NEW = "new"
    TRIAGE = "triage"
    CONTAINED = "contained"
    ERADICATED = "eradicated"
    RECOVERING = "recovering"
    CLOSED = "closed"


class Severity(StrEnum):
    """How bad, in four steps; the order of declaration is the order of weight."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def weight(self) -> int:
        """0 for low to 3 for critical."""
        return list(Severity).index(self)


class Tlp(StrEnum):
    """Traffic Light Protocol 2.0: who may be told. The wire form is the label's own text."""

    CLEAR = "TLP:CLEAR"
    GREEN = "TLP:GREEN"
    AMBER = "TLP:AMBER"
    AMBER_STRICT = "TLP:AMBER+STRICT"
    RED = "TLP:RED"


ANALYST, LEAD = "analyst", "lead"


@dataclass(frozen=True, slots=True)
class Move:
    """One allowed step, and the role it takes."""

    start: State
    end: State
    role: str


# A lead decides whatever tells the world that danger is over, or that it is back.
MOVES: tuple[Move, ...] = (
    Move(State.NEW, State.TRIAGE, ANALYST),
    Move(State.NEW, State.CLOSED, LEAD),  # a case that turned out to be nothing
    Move(State.TRIAGE, State.CONTAINED, LEAD),
    Move(State.TRIAGE, State.CLOSED, LEAD),
    Move(State.CONTAINED, State.ERADICATED, ANALYST),
    Move(State.CONTAINED, State.RECOVERING, ANALYST),
    Move(State.CONTAINED, State.TRIAGE, LEAD),  # the containment did not hold
    Move(State.ERADICATED, State.RECOVERING, ANALYST),
    Move(State.ERADICATED, State.CLOSED, LEAD),
    Move(State.ERADICATED, State.TRIAGE, LEAD),
    Move(State.RECOVERING, State.CLOSED, LEAD),
    Move(State.RECOVERING, State.TRIAGE, LEAD),
    Move(State.CLOSED, State.TRIAGE, LEAD),  # reopen
)

OPEN_STATES = tuple(state for state in State if state is not State.CLOSED)


def may(roles: Collection[str], role: str) -> bool:
    """Whether someone with `roles` may do what takes `role`: a lead may do all that an analyst may."""
    return role in roles or LEAD in roles


def moves_from(state: State, roles: Collection[str]) -> tuple[State, ...]:
    """The states that someone with `roles` may move an incident to."""
    return tuple(move.end for move in MOVES if move.start is state and may(roles, move.role))


def check_move(start: State, end: State, roles: Collection[str]) -> None:
    """Raise MoveRefused unless this step exists and `roles` suffice for it."""
    for move in MOVES:
        if move.start is start and move.end is end:
            if may(roles, move.role):
                return
            raise RoleNeeded(f"Only a {move.role} may move an incident from {start} to {end}.", role=move.role)
    ways = ", ".join(moves_from(start, (LEAD,)))
    raise MoveRefused(f"An incident that is {start} can't become {end}; it can become: {ways}.", state=str(start))


def check_close(summary: str, *, open_tasks: int) -> None:
    """Raise unless the record is fit to be left: it tells what happened, and nothing is left undone."""
    if len(summary.strip()) < MIN_SUMMARY:
        raise CloseNeedsSummary(
            f"Write what happened, what was done and what changes, in {MIN_SUMMARY} characters or more.",
            pointer="/summary",
        )
    if open_tasks:
        raise OpenTasks(f"{open_tasks} task(s) are still open. Finish or drop them first.", open=open_tasks)


def read_layers(layers: Iterable[int]) -> list[int]:
    """Layers as stored: each once, in order. Raises KeyError for a number that is no layer."""
    chosen = sorted(set(layers))
    for number in chosen:
        if number not in NUMBERS:
            raise KeyError(number)
    return chosen


def reference(number: int, year: int) -> str:
    """The short name people say on the phone: 2026-014."""
    return f"{year}-{number:03d}"
