"""Where this package plugs in."""

from keys import errors
from keys.ceremonies import KeyStore
from keys.envelope import Sealer
from keys.hashing import Passwords, TokenHasher
from keys.ring import KeyRing
from keys.routes import JWKS_OPERATION, jwks_handler, operator_router
from keys.settings import KeysSettings
from kit.host import Host


def include(host: Host) -> None:
    """Provide KeyStore, KeyRing, Sealer, TokenHasher and Passwords; load or create keys at start."""
    settings: KeysSettings = host.settings.keys
    keys = KeyStore(host.db, host.clock, settings)
    host.provide(KeyStore, keys)
    host.provide(KeyRing, keys.ring)
    host.provide(Sealer, keys.sealer)
    host.provide(TokenHasher, keys.hasher)
    host.provide(Passwords, keys.passwords)

    max_age = int(settings.jwks_max_age.total_seconds())
    host.front("GET", "/oauth/jwks", "public", jwks_handler(keys.ring, max_age=max_age), JWKS_OPERATION, cors=True)
    host.routes("operator", operator_router(keys))
    host.problems(*errors.ALL)
    host.job("keys.rotate-signing", min(60.0, settings.signing_key_lifetime.total_seconds() / 2), keys.rotate_due)
    host.job("keys.finish-kek-rotation", 60, keys.finish_kek_rotation)

    async def overwrite_leftovers() -> None:
        """A destroyed key is erased when its old bytes are: they outlive the commit in the database's files."""
        if keys.sealer.leftovers:
            keys.sealer.leftovers = False
            keys.sealer.leftovers = not await host.db.overwrite() or keys.sealer.leftovers

    host.job("keys.overwrite-leftovers", 10, overwrite_leftovers)
    host.job("keys.tend-audit-keys", 6 * 3600, keys.tend_audit_keys)
    host.on_start(keys.open)

    async def close() -> None:
        keys.passwords.close()

    host.on_stop(close)
