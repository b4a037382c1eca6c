"""The rules: what is a signal, and when signals make an alert."""

from hypothesis import given
from hypothesis import strategies as st

from cert.detection import BY_ID, Entity, Event, actions, judge, signals
from cert.incidents import Severity
from kit.clock import MINUTE

STUFFING = BY_ID["credential-stuffing"]


def failed(seq: int, account: str, *, source: str | None = "192.0.2.7", at: int = 0) -> Event:
    return Event(seq, at, "identity.signin.failed", ("anonymous", ""), ("account", account), {}, source)


def test_a_failed_sign_in_is_a_signal_under_its_source_and_under_its_account() -> None:
    seen = {signal.rule: signal for signal in signals(failed(1, "acc_a"))}
    assert seen["credential-stuffing"].key == "192.0.2.7"
    assert seen["password-guessing"].key == "account/acc_a"
    assert Entity("source", "192.0.2.7") in seen["credential-stuffing"].entities
    assert Entity("account", "acc_a") in seen["credential-stuffing"].entities


def test_without_its_source_a_failed_sign_in_counts_for_no_source() -> None:
    assert [signal.rule for signal in signals(failed(1, "acc_a", source=None))] == ["password-guessing"]


def test_other_actions_are_no_signals() -> None:
    assert signals(Event(1, 0, "consent.record.given", ("resident", "acc_a"), ("consent", "con_1"))) == []
    assert "consent.record.given" not in actions()


def test_five_accounts_within_ten_minutes_are_stuffing_and_four_are_not() -> None:
    four = [(f"a{n}", n * MINUTE, False) for n in range(4)]
    assert judge(STUFFING, four, now=3 * MINUTE) is None
    five = [*four, ("a4", 4 * MINUTE, False)]
    finding = judge(STUFFING, five, now=4 * MINUTE)
    assert finding is not None
    assert (finding.subjects, finding.first_at, finding.severity) == (5, 0, Severity.HIGH)


def test_many_tries_at_one_account_are_not_stuffing_but_guessing() -> None:
    assert judge(STUFFING, [("a", n, False) for n in range(50)], now=50) is None
    guessing = BY_ID["password-guessing"]
    assert judge(guessing, [(str(n), n, False) for n in range(10)], now=10) is not None


def test_what_lies_outside_the_window_does_not_count() -> None:
    slow = [(f"a{n}", n * 11 * MINUTE, False) for n in range(20)]
    assert judge(STUFFING, slow, now=19 * 11 * MINUTE) is None


def test_a_success_after_the_failures_makes_it_critical_and_one_before_does_not() -> None:
    tries = [(f"a{n}", 100 + n, False) for n in range(5)]
    after = judge(STUFFING, [*tries, ("s", 200, True)], now=200)
    before = judge(STUFFING, [("s", 50, True), *tries], now=104)
    assert after is not None
    assert after.severity is Severity.CRITICAL
    assert before is not None
    assert before.severity is Severity.HIGH


def test_the_account_that_was_entered_is_marked() -> None:
    begun = Event(9, 0, "identity.signin.succeeded", ("resident", "acc_v"), ("account", "acc_v"), {}, "192.0.2.7")
    (signal,) = signals(begun)
    assert signal.escalates
    assert Entity("account", "acc_v", "entered") in signal.entities


def test_reuse_is_counted_by_grant_so_that_one_client_with_two_victims_is_two_alerts() -> None:
    def reuse(grant: str) -> Event:
        about = ("client", "cli_1")
        return Event(3, 0, "identity.refresh.reused", ("service", "cli_1"), about, {"grant": grant, "chain": "c"})

    (first,), (second,) = signals(reuse("grt_1")), signals(reuse("grt_2"))
    assert (first.key, second.key) == ("grt_1", "grt_2")


def test_one_reuse_of_a_refresh_token_is_enough_and_names_the_client() -> None:
    event = Event(
        3, 0, "identity.refresh.reused", ("service", "cli_1"), ("grant", "grt_1"), {"client": "cli_1", "family": "f"}
    )
    (signal,) = signals(event)
    assert signal.rule == "refresh-reuse"
    assert {(e.kind, e.ref) for e in signal.entities} == {("grant", "grt_1"), ("client", "cli_1")}
    assert judge(BY_ID["refresh-reuse"], [(signal.subject, 0, False)], now=0) is not None


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 30 * MINUTE), st.booleans()), max_size=40))
def test_a_finding_always_has_its_threshold_of_subjects_in_the_window(seen: list[tuple[str, int, bool]]) -> None:
    now = max((at for _, at, _ in seen), default=0)
    finding = judge(STUFFING, seen, now=now)
    inside = {subject for subject, at, escalates in seen if now - STUFFING.window < at <= now and not escalates}
    assert (finding is not None) is (len(inside) >= STUFFING.threshold)


def test_five_new_ways_in_within_an_hour_by_one_hand_are_an_alert() -> None:
    """An operator's stolen session, or at home, where nobody is the actor, a stolen list of recovery codes."""
    rule = BY_ID["many-recoveries"]
    for action, actor in (
        ("identity.reset.opened", ("operator", "acc_o")),
        ("identity.recovery.begun", ("anonymous", "")),
    ):
        keys = {
            signal.key
            for number in range(5)
            for signal in signals(Event(number, 0, action, actor, ("account", f"acc_{number}")))
            if signal.rule == rule.id
        }
        assert keys == {"/".join(actor)}
    five = [(f"account/acc_{number}", number * MINUTE, False) for number in range(5)]
    assert judge(rule, five[:4], now=4 * MINUTE) is None
    found = judge(rule, five, now=4 * MINUTE)
    assert found is not None
    assert found.severity == Severity.HIGH


def test_a_clerk_who_tries_out_codes_is_told_to_the_desk() -> None:
    """A stolen clerk's session, or a clerk after an account of their own: wrong codes and a turned-away name count."""
    kinds = ("identity.verification.missed", "identity.verification.own-name")
    found = [
        signal
        for number in range(8)
        for signal in signals(Event(number, 0, kinds[number % 2], ("operator", "acc_c"), ("account", f"acc_{number}")))
    ]
    assert {(signal.rule, signal.key) for signal in found} == {("counter-guessing", "operator/acc_c")}
    seen = [(signal.subject, number * MINUTE, False) for number, signal in enumerate(found)]
    assert judge(BY_ID["counter-guessing"], seen[:7], now=7 * MINUTE) is None
    assert judge(BY_ID["counter-guessing"], seen, now=7 * MINUTE) is not None
