"""Which passwords are good enough (NIST SP 800-63B-4, section 3.1.1.2).

At least twelve characters, any characters, no rules about capitals or digits, no expiry. What is refused is what
others guess: zxcvbn's list of 30,000 leaked passwords and its patterns, words of this city, the person's own names,
and what the city's list of breached passwords knows (`breached.py`). Some milliseconds, in a thread.
"""

import asyncio
import re
import unicodedata
from collections.abc import Iterable

from identity.breached import Breached
from identity.errors_account import WeakPassword

MINIMUM = 12
MAXIMUM = 256
#: zxcvbn scores 0-4; 3 is "safely unguessable" behind a throttle.
SCORE = 3
#: zxcvbn raises beyond this; the first 72 characters are enough to judge by.
_SCORED = 72

# zxcvbn knows English words only. What people here reach for first, in Latin letters:
_LOCAL = (
    "sekisho", "minatohama", "minato", "kanmon", "shiyakusho", "shimin", "nihon", "nippon", "japan", "tokyo",
    "osaka", "kyoto", "yokohama", "hokkaido", "okinawa", "sakura", "hanami", "fujisan", "himawari", "tanpopo",
    "aozora", "taiyou", "hoshi", "tsuki", "yuki", "umi", "yama", "kawa", "hana", "inu", "neko", "usagi", "kuma",
    "arigatou", "arigato", "konnichiwa", "ohayou", "sayonara", "aishiteru", "daisuki", "suki", "watashi", "boku",
    "himitsu", "angou", "pasuwado", "aikotoba", "genki", "shiawase", "kazoku", "okaasan", "otousan", "sensei",
    "anpanman", "doraemon", "pikachu", "pokemon", "totoro", "gundam", "hanshin", "tigers", "giants", "samurai",
    "ninja", "sushi", "ramen", "onigiri", "mikan", "ichigo", "ringo", "momotarou", "tanaka", "suzuki", "satou",
    "takahashi", "watanabe", "yamamoto", "nakamura", "kobayashi",
)  # fmt: skip


async def require_good(password: str, *, breached: Breached, own: Iterable[str] = ()) -> None:
    """Raise WeakPassword (`reason`: short, long, blank, common or breached) unless the password will do.

    `own` are words that belong to this person: login name, name, kana, birthdate. Raises Unavailable if the list can't
    be read.
    """
    typed = unicodedata.normalize("NFKC", password)
    if not typed.strip():
        raise WeakPassword("Type a password.", pointer="/password", reason="blank")
    if len(typed) < MINIMUM:
        raise WeakPassword(f"Use at least {MINIMUM} characters.", pointer="/password", reason="short", least=MINIMUM)
    if len(typed) > MAXIMUM:
        raise WeakPassword(f"Use at most {MAXIMUM} characters.", pointer="/password", reason="long", most=MAXIMUM)
    if await asyncio.to_thread(score, typed, tuple(own)) < SCORE:
        raise WeakPassword(
            "This password is among those that are guessed first. Three or four words that do not belong together "
            "make a good one.",
            pointer="/password",
            reason="common",
        )
    if await breached.knows(password, typed):
        raise WeakPassword(
            "This password is in lists of passwords that were stolen elsewhere. Choose one you use nowhere else.",
            pointer="/password",
            reason="breached",
        )


def score(password: str, own: tuple[str, ...] = ()) -> int:
    """zxcvbn's judgement, 0 to 4."""
    from zxcvbn import zxcvbn

    words = [word for text in own for word in (text, *text.replace("-", " ").split()) if word]
    # A hyphen between two guessed words hides the pattern from zxcvbn, not from people: judge it without, too.
    forms = {password[:_SCORED], re.sub(r"[\W_]+", "", password)[:_SCORED]} - {""}
    return min(int(zxcvbn(form, user_inputs=[*_LOCAL, *words])["score"]) for form in forms)
