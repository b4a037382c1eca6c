"""A picture that a service says is its logo: what of it may be shown, or why not. Pure.

PNG (W3C PNG third edition, section 5), JPEG (ITU-T T.81 annex B) and WebP (RFC 9649 section 2) are taken apart into
their pieces and put together again from those that draw: no text, no position where it was taken, nothing behind the
end that another program would read as something else, no second picture. Never SVG, which is a program. What moves is
refused, as is what is larger than a mark needs to be. Nothing is decoded here: the browser does that, in its sandbox.
"""

import zlib
from dataclasses import dataclass

MOST_BYTES = 200_000
_LEAST, _MOST = 16, 1024
_DRAWS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"sRGB", b"cHRM", b"IDAT", b"IEND"})
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive: what browsers draw
_TABLES = frozenset({0xC4, 0xDB, 0xDD, 0xE0, 0xEE})  # Huffman, quantisation, restart; JFIF and Adobe say the colours
_ANIMATED, _KEPT_FLAGS = 0x02, 0x10  # of VP8X: moving; transparent


class LogoRefused(Exception):
    """`reason`: type, broken, size, moving."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Picture:
    """A logo as it is served."""

    media_type: str
    body: bytes
    width: int
    height: int


def read(data: bytes, declared: str) -> Picture:
    """The picture in these bytes, whose sender called them `declared`; raises LogoRefused."""
    if len(data) > MOST_BYTES:
        raise LogoRefused("size")
    for media_type, begins, parse in (
        ("image/png", data.startswith(_SIGNATURE), _png),
        ("image/jpeg", data.startswith(b"\xff\xd8\xff"), _jpeg),
        ("image/webp", data[:4] == b"RIFF" and data[8:12] == b"WEBP", _webp),
    ):
        if begins:
            if declared != media_type:  # two readers would take it for two things
                raise LogoRefused("type")
            try:
                body, width, height = parse(data)
            except (IndexError, ValueError) as error:
                raise LogoRefused("broken") from error
            if not (_LEAST <= width <= _MOST and _LEAST <= height <= _MOST):
                raise LogoRefused("size")
            return Picture(media_type, body, width, height)
    raise LogoRefused("type")


def _number(data: bytes, at: int, length: int, *, little: bool = False) -> int:
    part = data[at : at + length]
    if len(part) != length:
        raise ValueError("it ends too early")
    return int.from_bytes(part, "little" if little else "big")


def _png(data: bytes) -> tuple[bytes, int, int]:
    kept, at, seen = [_SIGNATURE], 8, False
    width = height = 0
    while True:
        length = _number(data, at, 4)
        name, whole = data[at + 4 : at + 8], data[at : at + 12 + length]
        if _number(data, at + 8 + length, 4) != zlib.crc32(whole[4:-4]):
            raise ValueError("a chunk's sum is wrong")
        if (name == b"IHDR") != (at == 8) or (name == b"IHDR" and length != 13):
            raise ValueError("IHDR comes first, once")
        if name == b"acTL":
            raise LogoRefused("moving")
        if name == b"IHDR":
            width, height = _number(data, 16, 4), _number(data, 20, 4)
        elif name[:1].isupper() and name not in _DRAWS:
            raise ValueError("a chunk that nobody knows")
        seen = seen or name == b"IDAT"
        if name in _DRAWS:
            kept.append(whole)
        at += 12 + length
        if name == b"IEND":
            if not seen or length:
                raise ValueError("there is no picture")
            return b"".join(kept), width, height


def _jpeg(data: bytes) -> tuple[bytes, int, int]:
    kept, at = [b"\xff\xd8"], 2
    width = height = 0
    drawn = False
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker where one must be")
        marker = data[at + 1]
        if marker == 0xD9:
            if not drawn:
                raise ValueError("there is no picture")
            return b"".join(kept) + b"\xff\xd9", width, height
        length = _number(data, at + 2, 2)
        end = at + 2 + length
        if length < 2 or end > len(data):
            raise ValueError("a segment ends outside")
        if marker in _FRAMES:
            if width:
                raise ValueError("two frames")
            height, width = _number(data, at + 5, 2), _number(data, at + 7, 2)
        elif marker == 0xDA:
            if not width:
                raise ValueError("a scan without a frame")
            drawn = True
            while not (data[end] == 0xFF and data[end + 1] not in (0, *range(0xD0, 0xD8))):
                end += 1
        elif marker not in _TABLES and not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            raise ValueError("a segment that nobody knows")
        if marker in _FRAMES or marker in _TABLES or marker == 0xDA:
            kept.append(data[at:end])
        at = end


def _webp(data: bytes) -> tuple[bytes, int, int]:
    end = 8 + _number(data, 4, 4, little=True)
    if end > len(data):
        raise ValueError("it ends too early")
    kept: list[bytes] = []
    at, size, canvas = 12, None, None
    while at < end:
        name, length = data[at : at + 4], _number(data, at + 4, 4, little=True)
        begin, at = at + 8, at + 8 + length + length % 2
        if begin + length > end:
            raise ValueError("a chunk ends outside")
        content = data[begin : begin + length]
        if name in (b"ANIM", b"ANMF"):
            raise LogoRefused("moving")
        if name == b"VP8X":
            if kept or length < 10:
                raise ValueError("VP8X comes first, once")
            if content[0] & _ANIMATED:
                raise LogoRefused("moving")
            content = bytes([content[0] & _KEPT_FLAGS]) + content[1:10]  # what the flags named is not kept
            canvas = _number(content, 4, 3, little=True) + 1, _number(content, 7, 3, little=True) + 1
        elif name == b"VP8 " and size is None:
            if content[3:6] != b"\x9d\x01\x2a":
                raise ValueError("not a key frame")
            size = _number(content, 6, 2, little=True) & 0x3FFF, _number(content, 8, 2, little=True) & 0x3FFF
        elif name == b"VP8L" and size is None:
            bits = _number(content, 1, 4, little=True)
            if content[0] != 0x2F:
                raise ValueError("not lossless")
            size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        elif name != b"ALPH":
            continue
        kept.append(name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2))
    if size is None or canvas not in (None, size):
        raise ValueError("there is no picture, or not of the size it says")
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body, *size
