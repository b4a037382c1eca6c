"""Whether what an access token stood on still stands, asked inside the write that acts on it.

The bearer check (identity.bearer) judges at the door; between the door and the write a grant may be revoked, a client
or member suspended, an account closed. Whoever discloses or takes in data asks again here, in the same transaction, so
that containment serialises with it (invariant I5).
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from identity.bearer import Access, chain_of
from kit.db.quick import Quick, json_of

_STANDING = Quick(
    "SELECT g.status, g.generation, a.status, c.status, m.status, m.source_categories,"
    " (SELECT COUNT(*) FROM identity_revoked r WHERE r.id = :jti OR r.id = :chain)"
    " FROM identity_grant g JOIN identity_account a ON a.id = g.account_id"
    " JOIN identity_client c ON c.id = g.client_id JOIN identity_member m ON m.id = c.member_id"
    " WHERE g.id = :grant_id AND g.client_id = :client_id",
    lock="FOR SHARE OF g, a, c, m",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a token stands on in this transaction."""

    honoured: bool
    member_approved: bool
    source_categories: frozenset[str]


_NOTHING = Standing(False, False, frozenset())


def standing(connection: Connection, access: Access) -> Standing:
    """Judge the token's grant, resident, client and its member as this transaction sees them."""
    row = _STANDING.one(
        connection,
        jti=access.jti,
        chain=chain_of(access.jti),
        grant_id=access.grant_id,
        client_id=access.client_id,
    )
    if row is None:
        return _NOTHING
    grant, generation, account, client, member, sources, revoked = row
    if revoked or generation != access.claims.get("grant_generation", 0):
        return _NOTHING
    approved = member == "approved"
    return Standing(
        honoured=grant == account == client == "active" and member != "suspended",
        member_approved=approved,
        source_categories=frozenset(json_of(sources) or ()) if approved else frozenset(),
    )
