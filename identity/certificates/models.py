"""The table of revocation lists that were seen: which was the newest, not what stood in it."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from kit.db import metadata as _metadata  # the naming rules must be set before the first table

assert _metadata is SQLModel.metadata


class CertificateList(SQLModel, table=True):
    """The newest revocation list of one issuer and distribution point (`keys.pki.crl.Crl.series`)."""

    __tablename__ = "identity_certificate_list"

    id: str = Field(primary_key=True)
    made_at: int = Field(sa_type=BigInteger, description="Its thisUpdate")
    number: str = Field(description="Its CRL number, 40 hexadecimal digits; empty without one")
    expires_at: int = Field(sa_type=BigInteger, index=True)
