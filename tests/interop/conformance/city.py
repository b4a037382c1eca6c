"""A city for the OpenID Foundation's conformance suite, served until Ctrl-C.

`sekisho serve` with the settings of identity/README.md, people who sign in, an operator, the clients that plans can't
register themselves, and the suite's own test configurations, written to `--out`.

    python -m tests.interop.conformance.city --suite https://localhost:8443 --suite-ca suite-ca.pem --out /tmp/city
"""

import argparse
import email
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from email import policy
from pathlib import Path
from typing import Any

import httpx2
import pyotp
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, KeyParameters, RSAKey

from tests.flows.test_real_clients import conformance
from tests.interop.conformance.plans import LOGIN, PASSWORD, REFUSER, VERIFIED, configurations
from tests.support.certificates import Authority
from tests.support.counter import CHIP
from tests.support.source import ROOT

_PEOPLE = {LOGIN: ("湊 花子", "みなと はなこ"), REFUSER: ("浜 次郎", "はま じろう"), VERIFIED: ("浦 千代", "うら ちよ")}
_OPERATOR = "conformance-office"
_STAFF = {_OPERATOR: "operator", "conformance-clerk": "clerk", "conformance-clerk-2": "clerk"}


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
        sys.exit(f"{data} is there already: its passwords and keys were made for another run")
    subprocess.run([sys.executable, "-m", "portal", "migrate", "--data", str(data)], cwd=ROOT, check=True)
    staff, *clerks = [_staff(data, login, role) for login, role in _STAFF.items()]
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
        people = {login: _sign_up(issuer, trust, login) for login in _PEOPLE}
        _say_everything(people[LOGIN], data / "mail")
        office = _colleague(issuer, trust, staff)
        totp_secret = _verified(people[VERIFIED], [_colleague(issuer, trust, clerk) for clerk in clerks])
        made = Clients(office, ca, arguments.suite)
        for name, configuration in configurations(issuer, arguments.port + 1, arguments.suite, made).items():
            (out / f"{name}.json").write_text(json.dumps(configuration, indent=2, ensure_ascii=False) + "\n", "utf-8")
        hands = {"issuer": issuer, "office": staff, "verified": {"login": VERIFIED, "totp_secret": totp_secret}}
        (out / "hands.json").write_text(json.dumps(hands), "utf-8")
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

    def keyed(self, name: str, alg: str = "ES256", **metadata: Any) -> dict[str, Any]:
        """A client with a key of its own. Some modules ask what becomes of RS256, and for that need a key of RSA."""
        parameters: KeyParameters = {"alg": alg, "use": "sig"}
        key: ECKey | RSAKey = (
            ECKey.generate_key("P-256", parameters, auto_kid=True)
            if alg == "ES256"
            else RSAKey.generate_key(2048, parameters, auto_kid=True)
        )
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


def _browser(issuer: str, trust: ssl.SSLContext) -> httpx2.Client:
    return httpx2.Client(base_url=issuer, verify=trust, headers={"origin": issuer, "accept-language": "en"})


def _send(browser: httpx2.Client, path: str, expected: int = 303, **form: Any) -> httpx2.Response:
    answer = browser.post(path, data=form)
    assert answer.status_code == expected, (path, answer.status_code, answer.text[:2000])
    return answer


def _staff(data: Path, login: str, role: str) -> dict[str, Any]:
    words = ("create-operator", login, "--name", login, "--role", role, "--data", str(data), "--json")
    return {"login": login, **_command("admin", *words, "--password-stdin", said=PASSWORD)}


def _sign_up(issuer: str, trust: ssl.SSLContext, login: str) -> httpx2.Client:
    """Somebody with a password and no second factor, for a one-time code works once in 30 seconds."""
    visitor = _browser(issuer, trust)
    name, kana = _PEOPLE[login]
    _send(visitor, "/sign-up", name=name, name_kana=kana, birthdate="1951-04-02", login=login)
    _send(visitor, "/sign-up/password", password=PASSWORD, repeat=PASSWORD)
    return visitor


def _say_everything(visitor: httpx2.Client, letters: Path) -> None:
    """Whatever a scope may ask for, so that what is left out is left out by us."""
    said = {
        "family_name": "湊", "given_name": "花子", "nickname": "はな", "gender": "female",
        "address": "湊浜市潮見1-2-3", "phone": "090-1234-5678",
    }  # fmt: skip
    _send(visitor, "/safety/profile", 303, name=_PEOPLE[LOGIN][0], name_kana=_PEOPLE[LOGIN][1], **said)
    _send(visitor, "/safety/email", email="tester@city.example")
    ends = time.monotonic() + 30
    while not (found := sorted(letters.glob("*.eml"))) and time.monotonic() < ends:
        time.sleep(0.2)
    letter = email.message_from_bytes(found[0].read_bytes(), policy=policy.default)
    body = letter.get_body(("plain",))
    _send(
        visitor,
        "/safety/email/confirm",
        code=_found(r"(?m)^ +([0-9A-Z]{5}(?:-[0-9A-Z]{5})+)\s*$", body.get_content() if body else ""),
    )


def _verified(visitor: httpx2.Client, clerks: list[httpx2.Client]) -> str:
    """The app set up, a visit to the counter, two clerks; the app's secret."""
    secret = _found(r'id="secret">([A-Z2-7 ]+)<', visitor.get("/safety/app").text).replace(" ", "")
    _send(visitor, "/safety/app", first="0", next="/safety", code=pyotp.TOTP(secret).now())
    code = _found(r'id="visit-code">([0-9A-Z-]+)<', _send(visitor, "/safety/verified/code", 200).text)
    visit = _send(clerks[0], "/counter", code=code).headers["location"]
    _send(clerks[0], visit, 303, **CHIP)
    if clerks[1].get(visit).status_code == 200:
        _send(clerks[1], f"{visit}/confirm", confirmed="1")
    return secret


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text[:2000]
    return found[1]


def _colleague(issuer: str, trust: ssl.SSLContext, staff: dict[str, Any]) -> httpx2.Client:
    """A member of staff at their browser."""
    browser = _browser(issuer, trust)
    _send(browser, "/sign-in", login=staff["login"], password=PASSWORD, next="/home")
    _send(browser, "/sign-in/code", code=pyotp.TOTP(staff["totp_secret"]).now())
    return browser


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
