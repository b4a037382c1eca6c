"""Grouping in the queue: together for a reason, and never for a crowd."""

from hypothesis import given
from hypothesis import strategies as st

from cert.grouping import CROWD, Group, group


def test_alerts_that_share_an_entity_stand_together_with_the_reason() -> None:
    found = group(
        ["a", "b", "c"],
        {"a": [("source", "h1"), ("account", "x")], "b": [("client", "k")], "c": [("source", "h1")]},
    )
    assert found == [Group(("a", "c"), ("source",)), Group(("b",), ())]


def test_an_entity_of_a_crowd_binds_nothing() -> None:
    names = [f"a{n}" for n in range(CROWD + 1)]
    assert len(group(names, {name: [("source", "proxy")] for name in names})) == CROWD + 1


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.tuples(st.just("source"), st.sampled_from("xyz")))))
def test_every_alert_is_in_exactly_one_group(entities: dict[str, list[tuple[str, str]]]) -> None:
    names = sorted(entities)
    found = group(names, entities)
    assert sorted(alert for one in found for alert in one.alerts) == names
    for one in found:
        assert bool(one.because) is (len(one.alerts) > 1)
