"""Metadata policy of a chain: gathered from the top, merged downwards, applied to the subject's metadata. Pure.

OpenID Federation 1.0 sections 6.1.2 and 6.1.4. A policy can be narrowed on the way down and never widened: an error
anywhere makes the whole chain invalid. `scope` is a list to the operators and a string in the metadata (section
6.1.3.1.8).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from identity.federation import operators
from identity.federation.operators import ABSENT, STANDARD
from identity.federation.refusals import policy

Metadata = dict[str, dict[str, Any]]
Policy = dict[str, dict[str, dict[str, Any]]]
_MOST = 500  # parameters of one entity type: no list of ours grows with what a stranger sends
_TEXT_LISTS = frozenset({"value", "add", "default", "one_of", "subset_of", "superset_of"})


def resolve(policies: Sequence[Any], critical: Iterable[Any] = ()) -> Policy:
    """The policy of a chain (section 6.1.4.1); raises Refused.

    `policies` and `critical` are the statements' `metadata_policy` and `metadata_policy_crit`, from the top down.
    """
    for names in critical:
        if names is None:
            continue
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise policy("policy-crit", "metadata_policy_crit is not a list of operator names")
        # Section 3.2: only operators that the specification doesn't define may stand there; none is known
        raise policy("policy-crit", f"the operator {names[0][:60]} is critical and not understood")
    current: Policy = {}
    for given in policies:
        if given is not None:
            current = _merge(current, _read(given))
    return current


def apply(resolved: Policy, metadata: Mapping[str, Mapping[str, Any]]) -> Metadata:
    """The metadata as the policy leaves it (section 6.1.4.2), for the entity types it has; raises Refused."""
    done: Metadata = {kind: dict(values) for kind, values in metadata.items()}
    for kind, parameters in resolved.items():
        if kind not in done:
            continue
        for name, given in parameters.items():
            value = done[kind].get(name, ABSENT)
            if name == "scope" and isinstance(value, str):
                value = value.split()
            value = operators.apply(given, value, f"{kind}.{name}")
            if value is ABSENT:
                done[kind].pop(name, None)
            else:
                done[kind][name] = " ".join(value) if name == "scope" and _texts(value) else value
    return done


def _read(given: Any) -> Policy:
    """A policy in its three levels (section 6.1.2), operators that nobody defined left out (section 6.1.3.2)."""
    if not isinstance(given, Mapping):
        raise policy("policy-form", "metadata_policy is not an object")
    found: Policy = {}
    for kind, parameters in given.items():
        if not isinstance(parameters, Mapping) or len(parameters) > _MOST:
            raise policy("policy-form", f"the policy for {kind[:60]} is not an object, or too large")
        for name, given_operators in parameters.items():
            where = f"{kind[:60]}.{name[:60]}"
            if not isinstance(given_operators, Mapping):
                raise policy("policy-form", f"the policy for {where} is not an object")
            known = {
                operator: _as_list(value) if name == "scope" and operator in _TEXT_LISTS else value
                for operator, value in given_operators.items()
                if operator in STANDARD
            }
            operators.check(known, where)
            found.setdefault(kind, {})[name] = known
    return found


def _merge(current: Policy, following: Policy) -> Policy:
    merged = {kind: dict(parameters) for kind, parameters in current.items()}
    for kind, parameters in following.items():
        kept = merged.setdefault(kind, {})
        for name, given in parameters.items():
            kept[name] = operators.merge(kept[name], given, f"{kind}.{name}") if name in kept else given
    return merged


def _as_list(value: Any) -> Any:
    return value.split() if isinstance(value, str) else value


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
