"""Whether what an access token stood on still stands, asked inside the write that acts on it.

The bearer check (identity.bearer) judges at the door; between the door and the write a grant may be revoked, a client
or member suspended, an account closed. Whoever discloses or takes in data asks again here, in the same transaction, so
that containment serialises with it (invariant I5).

A token that was exchanged (RFC 8693) is honoured where it says who acts, for one organisation only: every client on its
way, from the one whose grant it is to the one that calls, belongs to the same approved member, the recipient that the
resident agreed to. An impersonation, which names nobody, is not (section 1.1): a disclosure must tell who got it.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from identity.bearer import Access, chain_of, honours
from kit.db.quick import Quick, json_of

_STANDING = Quick(
    "SELECT g.status, g.generation, a.status, c.status, m.status, m.source_categories, m.id,"
    " (SELECT COUNT(*) FROM identity_revoked r WHERE r.id = :jti OR r.id = :chain)"
    " FROM identity_grant g JOIN identity_account a ON a.id = g.account_id"
    " JOIN identity_client c ON c.id = g.client_id JOIN identity_member m ON m.id = c.member_id"
    " WHERE g.id = :grant_id AND g.client_id = :client_id",
    lock="FOR SHARE OF g, a, c, m",
)
_HAND = Quick("SELECT c.status, c.member_id FROM identity_client c WHERE c.id = :client_id", lock="FOR SHARE OF c")


@dataclass(frozen=True, slots=True)
class Standing:
    """What a token stands on in this transaction."""

    honoured: bool
    member_approved: bool
    source_categories: frozenset[str]


_NOTHING = Standing(False, False, frozenset())


def standing(connection: Connection, access: Access) -> Standing:
    """Judge the token, its grant, resident, clients and their member as this transaction sees them."""
    row = _STANDING.one(
        connection,
        jti=access.jti,
        chain=chain_of(access.jti),
        grant_id=access.grant_id,
        client_id=access.origin,
    )
    if row is None:
        return _NOTHING
    grant, generation, account, client, member, sources, member_id, revoked = row
    if revoked or generation != access.claims.get("grant_generation", 0):
        return _NOTHING
    if "exchanged_from" in access.claims and not _stands_exchanged(connection, access, member_id):
        return _NOTHING
    approved = member == "approved"
    return Standing(
        honoured=grant == account == client == "active" and member != "suspended",
        member_approved=approved,
        source_categories=frozenset(json_of(sources) or ()) if approved else frozenset(),
    )


def _stands_exchanged(connection: Connection, access: Access, member_id: str) -> bool:
    """Whether the actors' tokens stand, every hand is a client of the same member, and who acts is named."""
    if not honours(connection, access.claims)[0]:
        return False
    if access.claims.get("act", {}).get("client_id") != access.client_id:
        return False
    hands = {*access.claims["exchanged_from"], access.client_id}
    return all(_HAND.one(connection, client_id=hand) == ("active", member_id) for hand in hands)
