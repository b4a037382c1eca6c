"""What accounts, credentials and sessions plug into the building; called by `identity.wiring.include`."""

from dataclasses import replace

from identity import browsers
from identity import errors_account as errors
from identity.alarm import Alarm
from identity.assurance.verifications import Verifications
from identity.attempts import Attempts
from identity.breached import Breached
from identity.credentials import Credentials
from identity.crowd import Crowd
from identity.emails import Emails
from identity.mail import Mail
from identity.mandates import Mandates
from identity.passkeys import Passkeys
from identity.recoveries import Recoveries
from identity.resets import Resets
from identity.sessions import Sessions
from identity.settings import IdentitySettings
from identity.support import Support
from identity.throttle import Policy, Throttles
from keys.envelope import Sealer
from keys.hashing import Passwords, TokenHasher
from kit.clock import DAY, SECOND
from kit.db import Session
from kit.host import Host
from kit.mail import Mailbox

SWEEP_SECONDS = 300
MAIL_SECONDS = 2
APPLY_SECONDS = 30


def include(host: Host) -> None:
    """Provide what accounts, their doors and their letters are made of; send, apply and sweep."""
    sealer, hasher = host.get(Sealer), host.get(TokenHasher)
    settings: IdentitySettings = host.settings.identity
    sessions = Sessions(
        host.db,
        sealer,
        hasher,
        host.clock,
        idle=settings.session_idle_seconds * SECOND,
        absolute=settings.session_seconds * SECOND,
    )
    attempts = Attempts(sealer, hasher, host.clock)
    policy = Policy()
    policy = replace(
        policy,
        account=replace(policy.account, burst=settings.account_tries),
        recovery=replace(policy.recovery, burst=settings.account_tries),
        source=replace(policy.source, burst=settings.source_tries),
    )
    throttles = Throttles(hasher, policy)
    crowd = Crowd(host.clock)
    credentials = Credentials(
        host.db,
        host.clock,
        sealer=sealer,
        hasher=hasher,
        passwords=host.get(Passwords),
        sessions=sessions,
        attempts=attempts,
        throttles=throttles,
        crowd=crowd,
    )
    passkeys = Passkeys(
        host.db,
        host.clock,
        sealer=sealer,
        hasher=hasher,
        sessions=sessions,
        throttles=throttles,
        crowd=crowd,
        issuer=host.issuer,
        trusted_hardware=settings.aal3_passkeys,
    )
    resets = Resets(
        sealer,
        hasher,
        host.clock,
        sessions=sessions,
        credentials=credentials,
        attempts=attempts,
        throttles=throttles,
        crowd=crowd,
        wait=settings.reset_wait_seconds * SECOND,
        life=settings.reset_code_seconds * SECOND,
        token_life=settings.access_token_seconds * SECOND,
    )
    verifications = Verifications(
        sealer,
        hasher,
        host.clock,
        throttles,
        code_life=settings.visit_code_seconds * SECOND,
        life=settings.verification_seconds * SECOND,
        two_clerks_from=settings.two_clerks_from,
        token_life=settings.access_token_seconds * SECOND,
    )
    support = Support(sealer, hasher, host.clock, sessions=sessions, resets=resets, throttles=throttles)
    mail = Mail(host.db, host.clock, sealer, host.get(Mailbox))
    if host.db.trail is not None:
        mail.follow(host.db.trail)
    emails = Emails(
        sealer, hasher, host.clock, throttles=throttles, mail=mail, wait=settings.change_wait_seconds * SECOND
    )
    recoveries = Recoveries(
        sealer,
        hasher,
        host.clock,
        attempts=attempts,
        throttles=throttles,
        mail=mail,
        resets=resets,
        wait=settings.recovery_wait_seconds * SECOND,
        life=7 * DAY,  # who waited for days need not be at home on the hour
    )
    host.provide(Recoveries, recoveries)
    mandates = Mandates(sealer, hasher, host.clock, throttles)
    host.provide(Mandates, mandates)
    host.provide(Mail, mail)
    host.provide(Emails, emails)
    host.provide(Alarm, Alarm(sealer, host.clock, sessions=sessions, emails=emails, resets=resets))
    host.job("identity.mail.deliver", MAIL_SECONDS, mail.deliver)
    host.provide(Breached, Breached(settings.password_list))
    host.provide(Resets, resets)
    host.provide(Verifications, verifications)
    host.provide(Support, support)
    host.provide(Sessions, sessions)
    host.provide(Attempts, attempts)
    host.provide(Throttles, throttles)
    host.provide(Crowd, crowd)
    host.provide(Credentials, credentials)
    host.provide(Passkeys, passkeys)

    def sweep(session: Session) -> int:
        now = host.clock.ms()
        return (
            sessions.sweep(session)
            + attempts.sweep(session)
            + passkeys.sweep(session)
            + resets.sweep(session)
            + verifications.sweep(session)
            + emails.sweep(session)
            + throttles.sweep(session, now=now)
            + browsers.sweep(session, now=now)
        )

    async def tidy() -> None:
        while await host.db.bulk(sweep) >= 1_000:
            pass

    async def apply() -> None:
        while await host.db.bulk(emails.apply_due) >= 100:
            pass
        while await host.db.bulk(mandates.run_out) >= 100:
            pass

    host.job("identity.emails.apply", APPLY_SECONDS, apply)
    host.job("identity.accounts.sweep", SWEEP_SECONDS, tidy)
    host.problems(*errors.ALL)
