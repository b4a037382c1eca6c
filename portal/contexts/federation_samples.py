"""Samples of the console's pages about the federation."""

from kit.clock import DAY, Millis
from portal.contexts import Sample
from portal.contexts import federation as pages

_NOW: Millis = 1_795_000_000_000
_CITY, _PREF = "https://id.minatohama.example", "https://federation.pref.example"
_CLINIC = "https://clinic.minatohama.example"
_LONG = "https://reservations.association-for-mobility-and-care-of-the-elderly.minatohama.example/services/federation"
_MARK = "https://federation.pref.example/marks/audited"
_KEY = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def samples() -> list[Sample]:
    """Out of any federation; a leaf; a city with many below, and something that waits; forms, errors, verdicts."""
    path = "/console/federation"
    below = (
        pages.BelowLine(_CLINIC, ("openid_relying_party",), False, "active", _NOW - 40 * DAY),
        pages.BelowLine(_LONG, ("openid_relying_party", "oauth_resource"), False, "suspended", _NOW - DAY),
        pages.BelowLine("https://town.example", ("federation_entity",), True, "ended", _NOW - 9 * DAY),
    )
    marks = (
        pages.MarkLine("tmk_01k0000000000000000000000", _MARK, _CLINIC, "active", _NOW + 90 * DAY),
        pages.MarkLine("tmk_01k0000000000000000000001", _MARK, _LONG, "revoked", None),
    )
    waiting = (
        pages.TrustWaiting("chg_1", "vouch", "https://bus.example", "港 はるか", False, (_KEY,),
                           ("openid_relying_party",), '{"metadata_policy": {}}', "", _NOW + 6 * DAY),
        pages.TrustWaiting("chg_2", "mark", _CLINIC, "浜 次郎", True, (), (), "", _MARK, _NOW + 7 * DAY),
    )  # fmt: skip
    keys = ((_KEY, "active"), ("QwX1sXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "next"))
    off = pages.Federation("off", _CITY, (), (), (), (), (), False, (), (), "", (), "")
    leaf = pages.Federation("leaf", _CITY, (_PREF,), (_PREF,), ("automatic",), (), keys, False, (), (), "", (), "")
    whole = pages.Federation("anchor", _CITY, (_PREF,), (_PREF, _CITY), ("automatic", "explicit"), (_MARK,), keys, True,
                             waiting, below, path + "?after=x", marks, path + "?before=x")  # fmt: skip
    entity = pages.Entity(_LONG, ("openid_relying_party",), False, "active", (_KEY, _KEY[::-1]),
                          '{\n  "metadata_policy": {\n    "openid_relying_party": {}\n  }\n}', _NOW - 40 * DAY,
                          _NOW - DAY, marks)  # fmt: skip
    kinds = (
        pages.KindChoice("openid_relying_party", True),
        pages.KindChoice("openid_provider"),
        pages.KindChoice("federation_entity"),
    )
    form = pages.Vouching({}, kinds, False, False, False, (), False, {})
    wrong = pages.Vouching({"entity_id": "clinic", "jwks": "{"}, kinds, False, True, False, (), False,
                           {"entity_id": "An https address.", "jwks": "A JSON object."})  # fmt: skip
    look = pages.Vouching({"entity_id": _CLINIC, "jwks": "{}", "said": '{"constraints": {}}'}, kinds, True, True,
                          True, (_KEY,), True, {})  # fmt: skip
    steps = (
        pages.StepLine("configuration", _CLINIC, _CLINIC, "", ""),
        pages.StepLine("configuration", _PREF, _PREF, "", ""),
        pages.StepLine("statement", _PREF, _CLINIC, "", ""),
    )
    broken = (*steps[:2], pages.StepLine("statement", _PREF, _CLINIC, "expired",
              f"the statement of {_PREF} about {_CLINIC} has expired"))  # fmt: skip
    asked = pages.Explanation("", "", (_PREF, _CITY), "", "", "", "", None, (), (), "", {})
    trusted = pages.Explanation(_CLINIC, "", (_PREF,), "trusted", "", "", _PREF, _NOW + DAY,
                                (*steps, pages.StepLine("chain", _PREF, _CLINIC, "", "")), ((_MARK, ""), (_LONG, "x")),
                                '{\n  "openid_relying_party": {}\n}', {})  # fmt: skip
    refused = pages.Explanation(_CLINIC, _PREF, (_PREF,), "refused", "expired", broken[-1].why, "", None, broken, (),
                                "", {})  # fmt: skip

    def one(template: str, name: str, context: object) -> Sample:
        return Sample(f"console/federation{template}.html", name, context, viewer="operator", path=path)

    return [
        one("", "off", off), one("", "leaf", leaf), one("", "whole", whole),
        one("_entity", "active", entity),
        one("_entity", "ended", pages.Entity(_CLINIC, (), True, "ended", (_KEY,), "", _NOW, _NOW, ())),
        one("_vouch", "new", form), one("_vouch", "wrong", wrong), one("_vouch", "look", look),
        one("_mark", "new", pages.Marking({"entity_id": _CLINIC}, (_MARK,), False, {})),
        one("_mark", "wrong", pages.Marking({"kind": "x"}, (), True, {"kind": "An https address."})),
        one("_stop", "suspend", pages.Stop("suspend", _CLINIC, "", 3, path, path)),
        one("_stop", "revoke", pages.Stop("revoke", _LONG, _MARK, 0, path, path)),
        one("_explain", "nothing", asked), one("_explain", "trusted", trusted), one("_explain", "refused", refused),
    ]  # fmt: skip
