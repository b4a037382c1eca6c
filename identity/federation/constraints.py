"""What a superior demands of the chains below it: how long, under which names, which kinds of entity. Pure.

OpenID Federation 1.0 section 6.2. Each subordinate statement's constraints are applied on their own; unknown members
are ignored, known ones that are malformed refuse the chain (section 3.2).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from identity.federation.entities import host_of
from identity.federation.refusals import chain

ALWAYS = "federation_entity"


def check(constraints: Any, *, below: int, entity_ids: Sequence[str], whose: str) -> None:
    """Raise Refused unless a chain keeps them. `below` is how many intermediates stand between who sets them and the
    chain's subject; `entity_ids` are the subject of the statement and every entity under it.
    """
    if constraints is None:
        return
    if not isinstance(constraints, Mapping):
        raise chain("constraints", f"the constraints of {whose} are not an object")
    most = constraints.get("max_path_length")
    if most is not None:
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise chain("constraints", f"max_path_length of {whose} is not a number from 0 up")
        if below > most:
            raise chain("max-path-length", f"{whose} allows {most} intermediates below it, and there are {below}")
    names = constraints.get("naming_constraints")
    if names is not None:
        _check_names(names, entity_ids, whose)
    _types(constraints, whose)


def allowed(constraints: Any, metadata: Mapping[str, Any], whose: str) -> dict[str, Any]:
    """The metadata without entity types that may not be there (section 6.2.3)."""
    types = _types(constraints, whose) if isinstance(constraints, Mapping) else None
    if types is None:
        return dict(metadata)
    return {kind: value for kind, value in metadata.items() if kind == ALWAYS or kind in types}


def _types(constraints: Mapping[str, Any], whose: str) -> list[str] | None:
    types = constraints.get("allowed_entity_types")
    if types is None:
        return None
    if not _strings(types) or ALWAYS in types:
        raise chain("constraints", f"allowed_entity_types of {whose} is malformed")
    return list(types)


def _check_names(names: Any, entity_ids: Sequence[str], whose: str) -> None:
    """RFC 5280 section 4.2.1.10, for hosts: `.example` holds every name below it, `example` that one host."""
    if not isinstance(names, Mapping):
        raise chain("constraints", f"naming_constraints of {whose} is not an object")
    permitted, excluded = names.get("permitted"), names.get("excluded", [])
    for given in (permitted, excluded):
        if given is not None and not _strings(given):
            raise chain("constraints", f"naming_constraints of {whose} is malformed")
    for entity_id in entity_ids:
        host = host_of(entity_id).lower()
        if any(_matches(host, name) for name in excluded):
            raise chain("naming-constraints", f"{whose} excludes {entity_id}")
        if permitted is not None and not any(_matches(host, name) for name in permitted):
            raise chain("naming-constraints", f"{whose} does not permit {entity_id}")


def _matches(host: str, name: str) -> bool:
    name = name.lower()
    return host.endswith(name) and len(host) > len(name) if name.startswith(".") else host == name


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
