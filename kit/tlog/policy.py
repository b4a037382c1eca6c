"""Trust policies: which logs, which witnesses, and how many of them are enough.

c2sp.org/tlog-policy: the file's lines (`log`, `witness`, `group`, `quorum`), read strictly. Octets beyond ASCII are
opaque ("Character set"); they are kept as they came. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from kit.tlog.errors import BadLog, BadNote
from kit.tlog.note import COSIGNATURE, COSIGNATURE_ML_DSA, ED25519, VerifierKey, parse_vkey

NONE = "none"
LARGEST = 256 * 1024
_SPACE = re.compile(r"[ \t]+")
_COUNT = re.compile(r"[1-9][0-9]{0,8}")


class BadPolicy(BadLog):
    """A policy file is not as its specification says."""

    check = "policy"


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A `log` line. Its key's name is the log's origin."""

    vkey: str
    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A `witness` line. `url` is its submission prefix (tlog-witness)."""

    name: str
    vkey: str
    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """A `group` line: met when `needed` of its members are."""

    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: dict[str, Group]
    quorum: str

    def met(self, cosigned_by: Collection[bytes]) -> bool:
        """Whether the witnesses with these public keys are a quorum ("Defining the quorum")."""
        return self.quorum == NONE or self._met(self.quorum, frozenset(cosigned_by))

    def shown(self, *logs: str) -> bytes:
        """The same policy for others: for the logs with these verifier keys, without anybody's address."""
        lines = [f"log {vkey}" for vkey in logs]
        lines += [f"witness {each.name} {each.vkey}" for each in self.witnesses]
        lines += [f"group {name} {each.needed} {' '.join(each.members)}" for name, each in self.groups.items()]
        return "\n".join([*lines, f"quorum {self.quorum}", ""]).encode("utf-8", "surrogateescape")

    def _met(self, name: str, keys: frozenset[bytes]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return any(each.name == name and each.key.public_key in keys for each in self.witnesses)
        return sum(self._met(member, keys) for member in group.members) >= group.needed


def parse_policy(content: bytes) -> Policy:
    """Read a policy file; raises BadPolicy naming the line."""
    if len(content) > LARGEST:
        raise BadPolicy("the policy is too long")
    if any((byte < 0x20 and byte not in (0x09, 0x0A)) or byte == 0x7F for byte in content):
        raise BadPolicy("a policy has no control characters but tab and newline")
    if content and not content.endswith(b"\n"):
        raise BadPolicy("the policy's last line does not end")
    reader = _Reader()
    for number, line in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), 1):
        words = [word for word in _SPACE.split(line) if word]
        if words and not words[0].startswith("#"):
            try:
                reader.take(words)
            except BadLog as bad:
                raise BadPolicy(f"line {number}: {bad}") from None
    return reader.done()


class _Reader:
    def __init__(self) -> None:
        self.logs: list[PolicyLog] = []
        self.witnesses: list[PolicyWitness] = []
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._grouped: set[str] = set()

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", vkey]:
                self._log(vkey, None)
            case ["log", vkey, url]:
                self._log(vkey, url)
            case ["witness", name, vkey]:
                self._witness(name, vkey, None)
            case ["witness", name, vkey, url]:
                self._witness(name, vkey, url)
            case ["group", name, needed, *members] if members:
                self._group(name, needed, members)
            case ["quorum", name]:
                self._quorum(name)
            case _:
                raise BadPolicy(f"not a line of a policy: {words[0]} with {len(words) - 1} items")

    def done(self) -> Policy:
        if self.quorum is None:
            raise BadPolicy("a policy has exactly one quorum line")
        return Policy(tuple(self.logs), tuple(self.witnesses), self.groups, self.quorum)

    def _log(self, vkey: str, url: str | None) -> None:
        key = _key(vkey, (ED25519, COSIGNATURE_ML_DSA), "a log")
        if any(each.key.public_key == key.public_key for each in self.logs):
            raise BadPolicy("this log's key is there twice")
        self.logs.append(PolicyLog(vkey, key, url))

    def _witness(self, name: str, vkey: str, url: str | None) -> None:
        self._new_name(name)
        key = _key(vkey, (COSIGNATURE, COSIGNATURE_ML_DSA), "a witness")
        if any(each.key.public_key == key.public_key for each in self.witnesses):
            raise BadPolicy("this witness's key is there twice")
        self.witnesses.append(PolicyWitness(name, vkey, key, url))

    def _group(self, name: str, needed: str, members: list[str]) -> None:
        self._new_name(name)
        for member in members:
            self._known(member)
            if member in self._grouped:
                raise BadPolicy(f"{_shown(member)} is a member twice")
            self._grouped.add(member)
        if needed in ("all", "any"):
            count = len(members) if needed == "all" else 1
        elif _COUNT.fullmatch(needed):
            count = int(needed)
        else:
            raise BadPolicy("a group needs all, any or a number")
        if not 1 <= count <= len(members):
            raise BadPolicy(f"a group of {len(members)} cannot need {count}")
        self.groups[name] = Group(count, tuple(members))

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise BadPolicy("a policy has exactly one quorum line")
        if name != NONE:
            self._known(name)
        self.quorum = name

    def _new_name(self, name: str) -> None:
        if name == NONE or name in self.groups or any(each.name == name for each in self.witnesses):
            raise BadPolicy(f"the name {_shown(name)} is taken")

    def _known(self, name: str) -> None:
        if name not in self.groups and not any(each.name == name for each in self.witnesses):
            raise BadPolicy(f"{_shown(name)} is not defined above")


def _key(vkey: str, allowed: tuple[int, ...], whose: str) -> VerifierKey:
    try:
        key = parse_vkey(vkey)
    except UnicodeEncodeError:
        raise BadNote("the key's name is not UTF-8") from None
    if key.algorithm not in allowed:
        raise BadPolicy(f"{whose} does not sign with a key of type 0x{key.algorithm:02x}")
    return key


def _shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode()
