"""Whether what an access token stood on still stands, asked inside the write that acts on it.

The bearer check (identity.bearer) judges at the door; between the door and the write a grant may be revoked, a client
or member suspended, an account closed. Whoever discloses or takes in data asks again here, in the same transaction, so
that containment serialises with it (invariant I5).
"""

from dataclasses import dataclass

from sqlalchemy import JSON, Connection, text
from sqlalchemy.types import String

from identity.bearer import Access, chain_of

_STANDING = text(
    "SELECT g.status AS grant_status, a.status AS account_status, c.status AS client_status,"
    " m.status AS member_status, m.source_categories AS source_categories,"
    " (SELECT COUNT(*) FROM identity_revoked r WHERE r.id = :jti OR r.id = :chain) AS revoked"
    " FROM identity_grant g JOIN identity_account a ON a.id = g.account_id"
    " JOIN identity_client c ON c.id = g.client_id LEFT JOIN identity_member m ON m.id = c.member_id"
    " WHERE g.id = :grant_id AND g.client_id = :client_id"
).columns(
    grant_status=String,
    account_status=String,
    client_status=String,
    member_status=String,
    source_categories=JSON,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a token stands on in this transaction."""

    honoured: bool
    member_approved: bool
    source_categories: frozenset[str]


_NOTHING = Standing(False, False, frozenset())


def standing(connection: Connection, access: Access) -> Standing:
    """Judge the token's grant, resident, client and member as this transaction sees them."""
    row = connection.execute(
        _STANDING,
        {
            "jti": access.jti,
            "chain": chain_of(access.jti),
            "grant_id": access.grant_id,
            "client_id": access.client_id,
        },
    ).first()
    if row is None or row.revoked:
        return _NOTHING
    honoured = (
        row.grant_status == row.account_status == row.client_status == "active" and row.member_status != "suspended"
    )
    approved = row.member_status == "approved"
    return Standing(honoured, approved, frozenset(row.source_categories or ()) if approved else frozenset())
