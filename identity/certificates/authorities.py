"""The authorities of this city: their files read once, and what a certificate of theirs is worth. Pure but for that."""

from collections.abc import Mapping
from dataclasses import dataclass

from identity.certificates.settings import AuthoritySettings
from identity.levels import Level, of_certificate
from keys.pki.paths import Anchors, Path
from keys.pki.status import Status, Untold
from kit.clock import SECOND, Millis


@dataclass(frozen=True, slots=True)
class Authority:
    """One authority."""

    settings: AuthoritySettings
    anchors: Anchors

    @property
    def id(self) -> str:
        """Its id, as the operator wrote it."""
        return self.settings.id

    @property
    def label(self) -> Mapping[str, str]:
        """What people call it, by language."""
        return {"ja": self.settings.label_ja, "en": self.settings.label_en}

    @property
    def checked(self) -> bool:
        """Whether anybody is asked at all."""
        return self.settings.checking != ("none",)

    @property
    def fresh(self) -> Millis:
        """How long a status may be believed at most."""
        return self.settings.fresh_seconds * SECOND

    @property
    def grace(self) -> Millis:
        """How long what was good is believed beyond that, while nobody can be asked."""
        return self.settings.grace_seconds * SECOND

    @property
    def level(self) -> Level:
        """What a sign-in by one of its certificates is worth."""
        return of_certificate(self.settings.acr, key=self.settings.key, pin=self.settings.pin)

    def ial(self, path: Path) -> int:
        """The identity assurance level its register's word is worth: the operator's to say, of all of its certificates
        or of a policy that the whole path has."""
        of_policies = (level for oid, level in self.settings.ial_policies.items() if oid in path.policies)
        return max(self.settings.ial, *of_policies, 0)

    @property
    def raises(self) -> bool:
        """Whether any certificate of it does."""
        return bool(self.settings.ial or self.settings.ial_policies)

    def subject(self, path: Path, status: Status | None, x5t: str) -> str:
        """Who its certificate stands for, in a form that outlives renewal; raises Untold if it does not say.

        A serial number is of one certificate and changes with it, so names count: the issuer's and the subject's, byte
        for byte. An authority that gives one name to two people needs another rule (README).
        """
        match self.settings.subject:
            case "names":
                if not path.subject_name:
                    raise Untold("nameless", "an empty subject")
                return f"names:{path.issuer_name}:{path.subject_name}"
            case "serial-number":
                if not path.subject_serial:
                    raise Untold("nameless", "no serialNumber in the subject")
                return f"serial-number:{path.issuer_name}:{path.subject_serial}"
            case "adapter":
                if status is None or not status.identifier:
                    raise Untold("nameless", "the adapter does not identify")
                return f"adapter:{status.identifier}"
            case _:
                return f"certificate:{x5t}"


def load(settings: AuthoritySettings) -> Authority:
    """Read its files; raises OSError or ValueError."""
    anchors = Anchors(
        settings.anchors, settings.intermediates, usages=settings.usages, policies=settings.policies
    )  # fmt: skip
    return Authority(settings, anchors)
