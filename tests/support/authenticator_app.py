"""The app on somebody's phone that shows six digits (RFC 6238)."""

import pyotp

from identity.totp import STEP_MS


def code_at(secret: str, moment: int) -> str:
    """The code it shows at this moment."""
    return str(pyotp.TOTP(secret).generate_otp(moment // STEP_MS))
