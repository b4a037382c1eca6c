"""Levels say what happened, no more (NIST SP 800-63B-4 section 2, RFC 8176)."""

import pytest

from identity import levels
from identity.levels import AAL1, AAL2


def test_a_password_alone_is_level_one() -> None:
    assert levels.of(["password"]) == levels.Level(AAL1, ("pwd",))


def test_a_password_with_an_app_code_is_level_two_with_otp() -> None:
    assert levels.of(["password", "totp"]) == levels.Level(AAL2, ("pwd", "otp", "mfa"))


def test_a_recovery_code_is_a_second_factor_but_not_called_otp() -> None:
    level = levels.of(["password", "recovery"])
    assert level.acr == AAL2
    assert "otp" not in level.amr
    assert "mfa" in level.amr


def test_a_passkey_is_two_factors_in_one_touch() -> None:
    assert levels.of(["passkey"]) == levels.Level(AAL2, ("hwk", "user", "mfa"))


def test_a_synchronised_passkey_does_not_claim_hardware() -> None:
    assert levels.of(["passkey"], key_stays_in_hardware=False).amr == ("swk", "user", "mfa")


@pytest.mark.parametrize("methods", [[], ["totp"], ["recovery"], ["totp", "recovery"]])
def test_codes_without_a_password_are_no_sign_in(methods: list[levels.Method]) -> None:
    with pytest.raises(ValueError, match="password or a passkey"):
        levels.of(methods)


def test_a_higher_level_satisfies_a_lower_one_and_not_the_other_way() -> None:
    assert levels.satisfies(AAL2, AAL1)
    assert levels.satisfies(AAL1, AAL1)
    assert not levels.satisfies(AAL1, AAL2)


def test_an_unknown_level_satisfies_nothing_and_is_satisfied_by_nothing() -> None:
    assert not levels.satisfies("urn:example:gold", AAL1)
    assert not levels.satisfies(AAL2, "urn:example:gold")
    assert levels.satisfies_any(AAL2, ["urn:example:gold", AAL2])
    assert not levels.satisfies_any(AAL2, [])
