"""Which alerts in the queue belong together, and why. Pure.

Two alerts are grouped when they share an entity (a source, an account, a client, a grant). The reason is always
shown, and nothing is merged: grouping is a way of looking, undone by looking otherwise. An entity shared by very
many alerts binds nothing (a city's proxy is no campaign), so that grouping can't run away with the queue.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CROWD = 25  # an entity on more alerts than this is no reason

Shared = tuple[str, bytes | str]  # kind, opaque id or keyed hash


@dataclass(frozen=True, slots=True)
class Group:
    """Alert ids in the order they were given, and the kinds of entity they share."""

    alerts: tuple[str, ...]
    because: tuple[str, ...]


def group(alerts: Sequence[str], entities: Mapping[str, Sequence[Shared]]) -> list[Group]:
    """Connected alerts, in the order of the first of each group."""
    count = Counter(entity for alert in alerts for entity in set(entities.get(alert, ())))
    leader = {alert: alert for alert in alerts}

    def find(alert: str) -> str:
        while leader[alert] != alert:
            leader[alert] = leader[leader[alert]]
            alert = leader[alert]
        return alert

    first: dict[Shared, str] = {}
    for alert in alerts:
        for entity in entities.get(alert, ()):
            if not 1 < count[entity] <= CROWD:
                continue
            if entity in first:
                leader[find(alert)] = find(first[entity])
            else:
                first[entity] = alert
    members: dict[str, list[str]] = defaultdict(list)
    for alert in alerts:
        members[find(alert)].append(alert)
    groups = []
    for together in members.values():
        inside = Counter(entity for alert in together for entity in set(entities.get(alert, ())))
        because = sorted({kind for (kind, _), n in inside.items() if n > 1 and count[(kind, _)] <= CROWD})
        groups.append(Group(tuple(together), tuple(because)))
    return groups
