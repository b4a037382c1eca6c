"""A city for the OpenID Foundation's conformance suite, served until Ctrl-C.

`sekisho serve` with the settings of identity/README.md, people who sign in, an operator, the clients that plans can't
register themselves, and the suite's own test configurations, written to `--out`.

    python -m tests.interop.conformance.city --suite https://localhost:8443 --suite-ca suite-ca.pem --out /tmp/city
"""

import argparse
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pyotp
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey

from tests.flows.test_real_clients import conformance
from tests.interop.conformance.plans import LOGIN, PASSWORD, REFUSER, configurations
from tests.support.certificates import Authority
from tests.support.source import ROOT

_PEOPLE = {LOGIN: ("湊 花子", "みなと はなこ"), REFUSER: ("浜 次郎", "はま じろう")}
_OPERATOR = "conformance-office"


def run(arguments: argparse.Namespace) -> None:
    """Make what is not there yet, serve, write the configurations, wait."""
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    data, issuer = out / "data", f"https://localhost:{arguments.port}"
    ca = Authority("Conformance city")
    cas, _ = ca.pair.write(out, "city-ca")
    # FAPI-CIBA still allows the cipher suites of RSA certificates only (FAPI 1.0 Part 2 section 8.5).
    cert, key = ca.give("op", "localhost", key=rsa.generate_private_key(65537, 2048)).write(out, "op")
    if data.exists():
        sys.exit(f"{data} is there already: the clients in it would be somebody else's")
    subprocess.run([sys.executable, "-m", "portal", "migrate", "--data", str(data)], cwd=ROOT, check=True)
    staff = _command("admin", "create-operator", _OPERATOR, "--name", "Conformance", "--data", str(data), "--json",
                     "--password-stdin", said=PASSWORD)  # fmt: skip
    settings = conformance(host="localhost", ca=str(arguments.suite_ca.resolve()))
    settings["SEKISHO_IDENTITY__BACKCHANNEL_REHEARSAL"] = "loopback"
    options = [
        "--port", str(arguments.port), "--mtls-port", str(arguments.port + 1), "--mtls-ca", str(cas),
        "--tls-cert", str(cert), "--tls-key", str(key), "--issuer", issuer, "--data", str(data),
    ]  # fmt: skip
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SEKISHO_")}
    serving = subprocess.Popen([sys.executable, "-m", "portal", "serve", *options], cwd=ROOT, env=clean | settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the server ends with us
    try:
        trust = ssl.create_default_context(cafile=str(cas))
        _wait(issuer, trust)
        _sign_up(issuer, trust)
        office = _office(issuer, trust, staff["totp_secret"])
        made = Clients(office, ca, arguments.suite)
        for name, configuration in configurations(issuer, arguments.port + 1, arguments.suite, made).items():
            (out / f"{name}.json").write_text(json.dumps(configuration, indent=2, ensure_ascii=False) + "\n", "utf-8")
        (out / "office.json").write_text(json.dumps({"issuer": issuer, "login": _OPERATOR, **staff}), "utf-8")
        print(f"{out}: the suite's configurations", flush=True)
        serving.wait()
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.wait(30)


class Clients:
    """Clients an operator makes, in the pairs that the suite's plans want."""

    def __init__(self, office: httpx2.Client, ca: Authority, suite: str) -> None:
        self._office, self._ca, self.suite = office, ca, suite

    def make(self, name: str, **metadata: Any) -> dict[str, Any]:
        """One client: what the suite's configuration says of it."""
        said = {"name_ja": name, "name_en": name, **metadata}
        answer = self._office.post("/api/identity/clients", json=said)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        known = {"client_id": made["client"]["id"], "scope": metadata.get("scope", "openid")}
        return known | ({"client_secret": made["client_secret"]} if made.get("client_secret") else {})

    def redirects(self, alias: str) -> list[str]:
        """Where the suite waits for answers: the first client's address and the second's."""
        return [
            f"{self.suite}/test/a/{alias}/callback",
            f"{self.suite}/test/a/{alias}/callback?dummy1=lorem&dummy2=ipsum",
        ]

    def keyed(self, name: str, **metadata: Any) -> dict[str, Any]:
        """A client with a key of its own."""
        key = ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"}, auto_kid=True)
        made = self.make(name, jwks={"keys": [key.as_dict(private=False)]}, **metadata)
        return made | {"jwks": {"keys": [key.as_dict(private=True)]}}

    def certificate(self, name: str) -> dict[str, str]:
        """A client certificate that the city's second port takes."""
        pair = self._ca.give(name, f"{name}.example")
        return {"cert": pair.pem.decode(), "key": _pem(pair), "ca": self._ca.pair.pem.decode()}


def _pem(pair: Any) -> str:
    from cryptography.hazmat.primitives import serialization as form

    made: bytes = pair.key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return made.decode()


def _command(*words: str, said: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "portal", *words], cwd=ROOT, input=said, text=True, capture_output=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _wait(issuer: str, trust: ssl.SSLContext) -> None:
    ends = time.monotonic() + 60
    while True:
        try:
            httpx2.get(f"{issuer}/healthz", verify=trust).raise_for_status()
            return
        except httpx2.TransportError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.2)


def _sign_up(issuer: str, trust: ssl.SSLContext) -> None:
    """People with a password and no second factor, for a one-time code works once in 30 seconds."""
    for login, (name, kana) in _PEOPLE.items():
        with httpx2.Client(base_url=issuer, verify=trust, headers={"origin": issuer}) as visitor:
            form = {"name": name, "name_kana": kana, "birthdate": "1951-04-02", "login": login}
            assert visitor.post("/sign-up", data=form).status_code == 303
            form = {"password": PASSWORD, "repeat": PASSWORD}
            assert visitor.post("/sign-up/password", data=form).status_code == 303


def _office(issuer: str, trust: ssl.SSLContext, totp_secret: str) -> httpx2.Client:
    """The operator's browser."""
    office = httpx2.Client(base_url=issuer, verify=trust, headers={"origin": issuer})
    form = {"login": _OPERATOR, "password": PASSWORD, "next": "/home"}
    assert office.post("/sign-in", data=form).status_code == 303
    done = office.post("/sign-in/code", data={"code": pyotp.TOTP(totp_secret).now()})
    assert done.status_code == 303, done.text
    return office


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", required=True, help="where the suite is, for example https://localhost:8443")
    parser.add_argument("--suite-ca", type=Path, required=True, help="who vouches for it (PEM)")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the city and the configurations")
    parser.add_argument("--port", type=int, default=9443, help="ours; the next one takes client certificates")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
