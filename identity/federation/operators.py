"""The metadata policy operators: which may stand together, how two of one name become one, what each does. Pure.

OpenID Federation 1.0 section 6.1.3.1, operator by operator. Values are compared as canonical JSON (RFC 8785), so that
`true` is not 1 and the order of an object's members says nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from identity.federation.refusals import Refused, policy
from kit.encoding import canonical

#: In the order of application (section 6.1.3.1).
STANDARD = ("value", "add", "default", "one_of", "subset_of", "superset_of", "essential")
_LISTS = frozenset({"add", "one_of", "subset_of", "superset_of"})
Operators = Mapping[str, Any]


class _Absent:
    """A metadata parameter that is not there: JSON has no value for it."""


ABSENT = _Absent()


def check(operators: Operators, where: str) -> None:
    """The operators of one metadata parameter, each and together; raises Refused."""
    for name, given in operators.items():
        if name in _LISTS:
            if not isinstance(given, list) or not _simple(given):
                raise policy("policy-value", f"{name} of {where} needs a list of strings, numbers or objects")
        elif name == "essential":
            if not isinstance(given, bool):
                raise policy("policy-value", f"essential of {where} needs true or false")
        elif name == "default" and given is None:
            raise policy("policy-value", f"default of {where} can't be null")
    for one, other, holds in _TOGETHER:
        if one in operators and other in operators and not holds(operators[one], operators[other]):
            raise policy("policy-combination", f"{one} and {other} of {where} contradict each other")


def merge(current: Operators, following: Operators, where: str) -> dict[str, Any]:
    """What a superior says and what its subordinate adds, as one; never wider than either. Raises Refused."""
    merged = dict(current)
    for name, given in following.items():
        merged[name] = _MERGED[name](merged[name], given, where) if name in merged and name in _MERGED else given
    check(merged, where)
    return merged


def apply(operators: Operators, value: Any, where: str) -> Any:
    """The metadata parameter after its policy; ABSENT for one that is not there. Raises Refused."""
    if "value" in operators:
        value = ABSENT if operators["value"] is None else operators["value"]
    if "add" in operators:
        value = _union([] if value is ABSENT else _list(value, "add", where), operators["add"])
    if "default" in operators and value is ABSENT:
        value = operators["default"]
    if value is not ABSENT:
        if "one_of" in operators and (isinstance(value, list) or not _within([value], operators["one_of"])):
            raise policy("policy-one-of", f"{where} is none of the allowed values")
        if "subset_of" in operators:
            value = _intersection(_list(value, "subset_of", where), operators["subset_of"])
        if "superset_of" in operators and not _within(operators["superset_of"], _list(value, "superset_of", where)):
            raise policy("policy-superset-of", f"{where} lacks a value it must have")
    elif operators.get("essential") is True:
        raise policy("policy-essential", f"{where} must be there")
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal."""
    return _key(one) == _key(other)


def _key(value: Any) -> bytes:
    try:
        return canonical(value)
    except (ValueError, TypeError, RecursionError):
        raise policy("policy-value", "a value has no canonical form") from None


def _simple(values: Sequence[Any]) -> bool:
    return all(isinstance(one, str | int | float | dict) and not isinstance(one, bool) for one in values)


def _list(value: Any, operator: str, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise policy("policy-type", f"{operator} needs {where} to be a list")
    return value


def _within(some: Any, all_of: Any) -> bool:
    if not isinstance(some, list) or not isinstance(all_of, list):
        return False
    known = {_key(one) for one in all_of}
    return all(_key(one) in known for one in some)


def _union(one: list[Any], other: list[Any]) -> list[Any]:
    known = {_key(value) for value in one}
    return [*one, *(value for value in _unique(other) if _key(value) not in known)]


def _intersection(one: list[Any], other: list[Any]) -> list[Any]:
    known = {_key(value) for value in other}
    return [value for value in _unique(one) if _key(value) in known]


def _unique(values: list[Any]) -> list[Any]:
    return list({_key(value): value for value in values}.values())


def _equal(name: str) -> Callable[[Any, Any, str], Any]:
    def merged(one: Any, other: Any, where: str) -> Any:
        if not same(one, other):
            raise policy("policy-merge", f"{name} of {where} is given twice, and differs")
        return one

    return merged


def _common(one: Any, other: Any, where: str) -> Any:
    found = _intersection(one, other)
    if not found:
        raise policy("policy-merge", f"one_of of {where} leaves nothing")
    return found


def _never(_: Any, __: Any) -> bool:
    return False


def _merged_or(one: bool, other: bool, _: str) -> bool:
    return one or other


_MERGED: Mapping[str, Callable[[Any, Any, str], Any]] = {
    "value": _equal("value"),
    "add": lambda one, other, _: _union(one, other),
    "default": _equal("default"),
    "one_of": _common,
    "subset_of": lambda one, other, _: _intersection(one, other),
    "superset_of": lambda one, other, _: _union(one, other),
    "essential": _merged_or,
}
#: Sections 6.1.3.1.1 to 6.1.3.1.7, "Combination with other operators": both names, and when they may meet.
_TOGETHER: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("value", "add", lambda value, add: _within(add, value)),
    ("value", "default", lambda value, _: value is not None),
    ("value", "one_of", lambda value, one_of: not isinstance(value, list) and _within([value], one_of)),
    ("value", "subset_of", _within),
    ("value", "superset_of", lambda value, superset: _within(superset, value)),
    ("value", "essential", lambda value, essential: not (value is None and essential is True)),
    ("add", "one_of", _never),
    ("add", "subset_of", _within),
    ("one_of", "subset_of", _never),
    ("one_of", "superset_of", _never),
    ("subset_of", "superset_of", lambda subset, superset: _within(superset, subset)),
)

__all__ = ["ABSENT", "STANDARD", "Refused", "apply", "check", "merge", "same"]
