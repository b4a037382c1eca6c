"""Passwords that are known to have leaked, from a list kept here (NIST SP 800-63B-4, section 3.1.1.2: blocklist).

The list is what Have I Been Pwned's downloader writes: one sorted file of `SHA1:COUNT` lines, or a directory of range
files `ABCDE.txt` with `SUFFIX:COUNT` lines. Asked by range as the service is (k-anonymity): what looks into the list is
given five hexadecimal digits of the hash and answers with all suffixes under them, so that neither the list's reader
nor whatever caches or logs its reads learns which password was meant. Nothing is asked over a network.
"""

import asyncio
import hashlib
import re
from pathlib import Path
from typing import BinaryIO

from kit.problems import Unavailable

PREFIX = 5
_HASH = re.compile(rb"([0-9A-Fa-f]{40}):(\d+)\s*")
_SUFFIX = re.compile(rb"([0-9A-Fa-f]{35}):(\d+)\s*")
_MARK = b"\xef\xbb\xbf"  # a byte order mark, which some writers put first


class Breached:
    """The list of a city; without a place it knows nothing, and zxcvbn's 30,000 are all there is."""

    def __init__(self, place: Path | None) -> None:
        self.place = place

    async def knows(self, *forms: str) -> bool:
        """Whether a password has leaked, in any of these spellings. Raises Unavailable if the list can't be read."""
        if self.place is None:
            return False
        return await asyncio.to_thread(self._knows, forms)

    def _knows(self, forms: tuple[str, ...]) -> bool:
        for form in set(forms):
            name = hashlib.sha1(form.encode(), usedforsecurity=False).hexdigest().upper()  # the list's own choice
            if name[PREFIX:] in self.suffixes(name[:PREFIX]):
                return True
        return False

    def suffixes(self, prefix: str) -> frozenset[str]:
        """The rest of every leaked hash that begins so. Raises Unavailable if the list can't be read.

        A list that can't answer must not wave everybody through (invariant I10).
        """
        if self.place is None:
            return frozenset()
        try:
            if self.place.is_dir():
                return frozenset(_of_range(self.place / f"{prefix}.txt"))
            with self.place.open("rb") as file:
                return frozenset(_of_file(file, prefix.encode()))
        except (OSError, ValueError) as error:
            raise Unavailable(
                "Passwords can't be checked at the moment. Try again later.", private=f"password list: {error}"
            ) from error


def _of_range(path: Path) -> list[str]:
    found = []
    for line in path.read_bytes().removeprefix(_MARK).splitlines():
        if match := _SUFFIX.fullmatch(line):
            if int(match[2]):  # padding has the count 0
                found.append(match[1].decode().upper())
        elif line.strip():
            raise ValueError("a line is not SUFFIX:COUNT")
    return found


def _of_file(file: BinaryIO, prefix: bytes) -> list[str]:
    """By halving: about forty reads in a file of a billion lines. `low` is the start of a line, and every line that
    begins before it comes before the prefix."""
    low, high = 0, file.seek(0, 2)
    while low < high:
        middle = (low + high) // 2
        file.seek(middle)
        if middle:
            file.readline()  # of a line that began before
        line = file.readline()
        if line and _name(line)[:PREFIX] < prefix:
            low = file.tell()
        else:
            high = middle
    file.seek(low)
    found = []
    for line in file:
        name = _name(line)
        if name[:PREFIX] > prefix:
            break
        if name[:PREFIX] == prefix:
            found.append(name[PREFIX:].decode())
    return found


def _name(line: bytes) -> bytes:
    match = _HASH.fullmatch(line.removeprefix(_MARK))
    if match is None:
        raise ValueError("a line is not SHA1:COUNT")
    return match[1].upper()
