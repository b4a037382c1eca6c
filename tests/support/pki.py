"""Certificate authorities that go wrong as told: certificates, revocation lists and OCSP answers of two makes
(`cryptography`, and the openssl command), and the register that a status adapter asks."""

import asyncio
import base64
import contextlib
import datetime
import hashlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from tests.support.certificates import Pair
from tests.support.site import Site, reply, serving

Extensions = Iterable[tuple[x509.ExtensionType, bool]]
CLIENT, OCSP_SIGNING = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.OCSP_SIGNING
DAY = datetime.timedelta(days=1)


def name(common: str, serial: str = "") -> x509.Name:
    parts = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Minato-hama"),
        x509.NameAttribute(NameOID.COMMON_NAME, common),
    ]
    if serial:
        parts.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial))
    return x509.Name(parts)


def usage(**on: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{one: on.get(one, False) for one in names})


def policies(*oids: str) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in oids])


def uri(address: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(address)]


def unknown_critical() -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.9"), b"\x05\x00"), True


class Maker:
    """One authority. `above` gave it out; without one it is its own anchor."""

    def __init__(
        self, common: str, above: "Maker | None" = None, *, extra: Extensions = (), crl_sign: bool = True
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name(common)
        self.now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        more = [
            (x509.BasicConstraints(True, None), True), (usage(key_cert_sign=True, crl_sign=crl_sign), True), *extra,
        ]  # fmt: skip
        signer = above or self
        self.certificate = signer._sign(self.name, self.key.public_key(), more, 30 * DAY)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def _sign(
        self, subject: x509.Name, key: Any, extensions: Extensions, life: datetime.timedelta, serial: int = 0
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            self.name, subject, key, serial or x509.random_serial_number(), self.now - 2 * DAY, self.now + life
        )
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def give(
        self, common: str = "湊 花", *, serial_name: str = "", crl: str = "", ocsp: str = "", extra: Extensions = (),
        eku: Iterable[x509.ObjectIdentifier] | None = (CLIENT,), signs: bool = True, days: float = 10, serial: int = 0,
        subject: x509.Name | None = None, ca: bool = False,
    ) -> Pair:  # fmt: skip
        """An end certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        more: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca, None), True),
            (usage(digital_signature=signs, content_commitment=not signs), True),
        ]
        if eku is not None:
            more.append((x509.ExtendedKeyUsage(list(eku)), False))
        if crl:
            more.append((x509.CRLDistributionPoints([x509.DistributionPoint(uri(crl), None, None, None)]), False))
        if ocsp:
            place = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, uri(ocsp)[0])
            more.append((x509.AuthorityInformationAccess([place]), False))
        made = self._sign(
            name(common, serial_name) if subject is None else subject, key.public_key(), [*more, *extra], days * DAY,
            serial,
        )  # fmt: skip
        return Pair(made, key)

    def crl(
        self, *revoked: x509.Certificate, extra: Extensions = (), entry: Extensions = (), made: float = -1,
        ends: float = 1, key: Any = None, issuer: x509.Name | None = None, count: int = 0, serials: Iterable[int] = (),
        algorithm: hashes.HashAlgorithm | None = None, number: int = 7,
    ) -> bytes:  # fmt: skip
        """A revocation list, DER; `made` and `ends` in hours from now."""
        builder = x509.CertificateRevocationListBuilder(
            issuer or self.name, self.now + datetime.timedelta(hours=made), self.now + datetime.timedelta(hours=ends)
        )
        for serial in (*(one.serial_number for one in revoked), *serials, *range(1000, 1000 + count)):
            line = x509.RevokedCertificateBuilder(serial, self.now - DAY)
            for extension, critical in entry:
                line = line.add_extension(extension, critical)
            builder = builder.add_revoked_certificate(line.build())
        for extension, critical in ((x509.CRLNumber(number), False), *extra):
            builder = builder.add_extension(extension, critical)
        signed = builder.sign(key or self.key, algorithm or hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.DER)

    def responder(self, *, nocheck: bool = True, eku: x509.ObjectIdentifier = OCSP_SIGNING, days: float = 10) -> Pair:
        """Somebody who answers OCSP in its name."""
        extra: list[tuple[x509.ExtensionType, bool]] = [(x509.OCSPNoCheck(), False)] if nocheck else []
        return self.give("Responder", eku=(eku,), extra=extra, days=days)


class OpenSSL:
    """The same authority in the hands of the openssl command: lists, and a responder that runs."""

    def __init__(self, maker: Maker, folder: Path) -> None:
        self.maker, self.folder = maker, folder
        folder.mkdir(exist_ok=True)
        Pair(maker.certificate, maker.key).write(folder, "ca")
        (folder / "index.txt").write_text("")
        (folder / "crlnumber").write_text("01\n")
        (folder / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index.txt\ncrlnumber={folder}/crlnumber\n"
            "default_md=sha256\ndefault_crl_hours=1\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n"
        )

    def note(self, *, good: Iterable[x509.Certificate] = (), revoked: Iterable[x509.Certificate] = ()) -> None:
        """Write its index of what was given out."""
        lines = []
        for letter, ones in (("V", good), ("R", revoked)):
            for one in ones:
                ends, gone = f"{one.not_valid_after_utc:%y%m%d%H%M%SZ}", f"{self.maker.now:%y%m%d%H%M%SZ}"
                serial = f"{one.serial_number:X}"
                serial = serial if len(serial) % 2 == 0 else f"0{serial}"
                lines.append(f"{letter}\t{ends}\t{gone if letter == 'R' else ''}\t{serial}\tunknown\t/CN=x{serial}\n")
        (self.folder / "index.txt").write_text("".join(lines))

    def crl(self) -> bytes:
        """`openssl ca -gencrl`."""
        place = self.folder
        made = subprocess.run(
            ["openssl", "ca", "-gencrl", "-config", str(place / "ca.cnf"), "-cert", str(place / "ca.pem"), "-keyfile",
             str(place / "ca.key")], capture_output=True, check=True, timeout=30,
        ).stdout  # fmt: skip
        return x509.load_pem_x509_crl(made).public_bytes(serialization.Encoding.DER)

    @contextlib.asynccontextmanager
    async def responding(self, port: int, signer: Pair, *more: str) -> AsyncIterator[str]:
        """`openssl ocsp`, as a process of its own, while the block lasts."""
        cert, key = signer.write(self.folder, "responder")
        process = await asyncio.create_subprocess_exec(
            "openssl", "ocsp", "-port", str(port), "-index", str(self.folder / "index.txt"), "-CA",
            str(self.folder / "ca.pem"), "-rsigner", str(cert), "-rkey", str(key), "-nmin", "600", *more,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            await process.stdout.readline()  # "ACCEPT …": it listens (a connection to find out would stop it)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()


@dataclass
class Register:
    """The register behind a status adapter (JPKI's stand-in): strict about what it is asked, wrong as told."""

    site: Site
    now: Callable[[], datetime.datetime]
    secret: str = "register-secret"
    people: dict[str, dict[str, Any]] = field(default_factory=dict)  # by thumbprint: status, identifier, attributes
    answer: dict[str, Any] = field(default_factory=dict)  # what it says instead
    asked: list[dict[str, Any]] = field(default_factory=list)

    def serve(self, _path: str) -> bytes:
        head, _, body = self.site.asked[-1].partition(b"\r\n\r\n")
        lines = {k.lower(): v for k, _, v in (line.partition(": ") for line in head.decode().split("\r\n")[1:])}
        question = json.loads(body)
        der = base64.urlsafe_b64decode(question["certificate"] + "==")
        thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        strict = (
            head.startswith(b"POST /status ")
            and lines["authorization"] == f"Bearer {self.secret}"
            and lines["content-type"] == "application/json"
            and set(question) == {"certificate", "issuer", "thumbprint", "nonce", "at"}
            and question["thumbprint"] == thumbprint
            and len(question["nonce"]) >= 43
        )
        if not strict:
            return reply(b"{}", "400 Bad Request")
        self.asked.append(question)
        said = {
            "status": "unknown", "thumbprint": thumbprint, "nonce": question["nonce"],
            "this_update": self.now().isoformat(), "next_update": (self.now() + DAY / 24).isoformat(),
            **self.people.get(thumbprint, {}), **self.answer,
        }  # fmt: skip
        return reply(json.dumps(said).encode(), "200 OK", "content-type: application/json")


@contextlib.asynccontextmanager
async def registering(now: Callable[[], datetime.datetime]) -> AsyncIterator[Register]:
    """A register, while the block lasts."""
    async with serving() as site:
        made = Register(site, now)
        site.answer = made.serve
        yield made
