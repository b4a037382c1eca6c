"""Which revocation list is the newest that this city has seen, for all its processes and over restarts.

RFC 5280 section 5.2.3: of one issuer and one scope a later list has a later `thisUpdate` and a greater number. An older
one may be good by its `nextUpdate` still, so who holds a stolen key and sits on the way would show it again.
"""

from identity.certificates.models import CertificateList
from keys.pki.crl import Crl
from kit.clock import DAY, Millis
from kit.db import Session

#: How long the newest is remembered beyond its own end: no list of before lasts that much longer than it.
REMEMBERED: Millis = 400 * DAY


def is_newest(session: Session, found: Crl) -> bool:
    """Whether no newer one of its series was seen; it is noted then.

    By time first and by number in the same second: one order, so that no two lists take turns, whatever an authority
    does with its numbers. Only lists whose signature held come here, so there is a row for each series of the city's
    own authorities, and nobody else makes any.
    """
    row = session.get(CertificateList, found.series)
    if row is None:
        row = CertificateList(id=found.series, made_at=0, number="", expires_at=0)
    if (found.made_at, found.number) < (row.made_at, row.number):
        return False
    if (found.made_at, found.number) > (row.made_at, row.number):
        row.made_at, row.number = found.made_at, found.number
        row.expires_at = max(row.expires_at, found.ends_at + REMEMBERED)
        session.add(row)
        session.flush()
    return True
