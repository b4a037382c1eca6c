"""A receipt bound to its holder's key: what a wallet shows to have it in `cnf`. Pure.

OpenID for Verifiable Credential Issuance 1.0, appendix F.1 (proof type `jwt`): a JWT of type `openid4vci-proof+jwt`
under the key in its own header, for us (`aud`) and fresh (`iat`). It proves that whoever asks holds that key, and no
more; who asks is known from the session. SD-JWT VC section 2.2.2.2: `cnf` is always shown. Without a wallet, no `cnf`.
"""

from typing import Final

from consent.errors import BadHolderProof
from keys import jose
from keys.errors import BadToken

TYP: Final = "openid4vci-proof+jwt"
ALGS: Final = ("EdDSA", "ES256")
FRESH: Final = 300  # seconds; also how far clocks may differ


def holder_key(proof: str, *, issuer: str, now: int) -> dict[str, str]:
    """The public key that a proof shows to be held; raises BadHolderProof. `now` in seconds."""
    try:
        header, claims = jose.verify_embedded(proof, algs=ALGS, typ=TYP)
    except BadToken as bad:
        raise BadHolderProof("The proof does not verify under the key in its header.", private=bad.private) from None
    if claims.get("aud") != issuer:  # a proof for another issuer, passed on, must not bind a receipt of ours
        raise BadHolderProof(f"The proof's audience is not {issuer}.")
    issued = claims.get("iat")
    if not isinstance(issued, int) or isinstance(issued, bool) or abs(now - issued) > FRESH:
        raise BadHolderProof("The proof is not of now. Make a new one.")
    return jose.public_members(header["jwk"])
