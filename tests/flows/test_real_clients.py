"""Real clients, written by others: npm openid-client and oauth4webapi, through every flow they speak.

One served city with TLS and a port for client certificates, set up as the conformance profile of identity/README.md
says, and one Node process for all flows (tests/peers/flows.mjs).
"""

import fcntl
import json
import os
import re
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pyotp
import pytest
from joserfc.jwk import ECKey

from tests.flows.test_serving import serving
from tests.support.certificates import Authority
from tests.support.peers import leave_out, needs
from tests.support.server import CITY_ENVIRON, free_port
from tests.support.source import ROOT
from tests.support.visitor import credentials

PEERS = ROOT / "tests" / "peers"
FLOWS = (
    "code with PKCE, a secret by Basic, RS256",
    "code with a secret in the body",
    "code of a public client",
    "the claims parameter, max_age and acr_values",
    "refresh tokens rotate; a used one ends the chain",
    "introspection and revocation",
    "private_key_jwt with every algorithm",
    "ID tokens in every algorithm",
    "signed userinfo",
    "pushed authorization requests",
    "signed requests",
    "signed requests, pushed",
    "signed answers",
    "answers by form post",
    "DPoP with nonces",
    "DPoP binds the code to the key of the push",
    "mutual TLS: client and bound tokens",
    "FAPI 2.0 Security Profile",
    "FAPI 2.0 Security Profile over mutual TLS",
    "FAPI 2.0 Message Signing",
    "client credentials, with DPoP, introspected",
    "a device without a keyboard",
    "a counter asks, the resident answers at home",
    "a token is exchanged",
    "oauth4webapi reads signed introspection",
    "registration is read, changed and ended",
    "keys, sector and request from the client's own addresses",
    "oauth4webapi: code, PKCE and DPoP, step by step",
    "oauth4webapi judges our access tokens as a resource server does",
    "answers closed for their client alone",
    "an outside issuer vouches",
    "implicit and hybrid are refused by name",
    "a resource says who gives tokens for it, and is asked",
    "oauth4webapi: signed, pushed, answered signed, refreshed",
    "oauth4webapi: itself, a device, a counter, step by step",
    "signing out, told behind the browser's back",
)

pytestmark = needs("node", "npm")


def conformance(**places: str) -> dict[str, str]:
    """The environment that identity/README.md gives for a conformance suite, with the suite's own places filled in."""
    text = (ROOT / "identity" / "README.md").read_text("utf-8")
    block = text.partition("<!-- conformance:begin")[2].partition("<!-- conformance:end")[0]
    found = dict(re.findall(r"^(SEKISHO_[A-Z_]+)='?(.*?)'?(?:\s+#.*)?$", block, flags=re.M))
    return {name: value.replace("suite.example", places["host"]).replace("suite-ca.pem", places["ca"])
            for name, value in found.items()}  # fmt: skip


def installed() -> Path:
    """The peers' folder, with what its lock file names; one test worker installs, the others wait."""
    with (PEERS / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = ("openid-client", "oidc-provider", "@openid-federation/core")
        if not all((PEERS / "node_modules" / name).is_dir() for name in wanted):
            command = ["npm", "ci", "--no-audit", "--no-fund", "--silent"]
            if subprocess.run(command, cwd=PEERS, timeout=180).returncode:
                leave_out(f"needs npm {', '.join(wanted)}, and npm could not install them")
    return PEERS


def sign_in(issuer: str, trust: ssl.SSLContext, person: dict[str, Any]) -> str:
    """A cookie of somebody who signed in by the forms."""
    with httpx2.Client(base_url=issuer, verify=trust, headers={"origin": issuer}) as browser:
        form = {"login": person["login"], "password": person["password"], "next": "/home"}
        assert browser.post("/sign-in", data=form).status_code == 303
        done = browser.post("/sign-in/code", data={"code": pyotp.TOTP(person["totp_secret"]).now()})
        assert done.status_code == 303, done.text
        return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def make(issuer: str, trust: ssl.SSLContext, cookie: str, **metadata: Any) -> dict[str, Any]:
    """A client that an operator makes, with a key of its own."""
    key = ECKey.generate_key("P-256", auto_kid=True)
    body = {
        "name_ja": "計器", "name_en": "Meter", "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key.as_dict(private=False)]}, **metadata,
    }  # fmt: skip
    answer = httpx2.post(
        f"{issuer}/api/identity/clients", json=body, verify=trust, headers={"cookie": cookie, "origin": issuer}
    )
    assert answer.status_code == 201, answer.text
    return {"client_id": answer.json()["client"]["id"], "jwk": key.as_dict(private=True)}


@pytest.fixture(scope="module")
def told(city: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each flow."""
    folder, place = installed(), tmp_path_factory.mktemp("clients")
    data = place / "data"
    shutil.copytree(city, data)
    ca = Authority()
    cert, key = ca.give("server", "localhost").write(place, "server")
    cas, _ = ca.pair.write(place, "ca")
    own_cert, own_key = ca.give("clinic", "rp.clinic.example").write(place, "own")
    port, second, site = free_port(), free_port(), free_port()
    issuer = f"https://localhost:{port}"
    trust = ssl.create_default_context(cafile=str(cas))
    options = [
        "--port", str(port), "--mtls-port", str(second), "--mtls-ca", str(cas), "--data", str(data),
        "--tls-cert", str(cert), "--tls-key", str(key), "--issuer", issuer,
    ]  # fmt: skip
    env = {**CITY_ENVIRON, **conformance(host="localhost", ca=str(cas))}
    with serving(*options, env=env, url=issuer, verify=trust):
        known = credentials(data)
        operator = next(one for one in known["staff"].values() if "operator" in one["roles"])
        staff = sign_in(issuer, trust, operator)
        person = next(iter(known["residents"].values()))
        resident = sign_in(issuer, trust, person)
        described = {
            "issuer": issuer,
            "cookie": resident,
            "login": person["login"],
            "ca": cas.read_text(),
            "mtls": {"cert": own_cert.read_text(), "key": own_key.read_text(), "name": "rp.clinic.example"},
            "site": {"cert": cert.read_text(), "key": key.read_text(), "port": site},
            "machine": make(
                issuer, trust, staff, scope="meter:read", exchange_scope="meter:read",
                grant_types=["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
                exchange_audiences=["https://records.example"],
            ),
            "voucher": make(
                issuer, trust, staff, scope="read",
                grant_types=["urn:ietf:params:oauth:grant-type:jwt-bearer"],
                assertion_issuers={"https://idp.example": f"https://localhost:{site}/idp"},
            ),
            "counter": make(
                issuer, trust, staff, scope="openid profile", backchannel_token_delivery_mode="poll",
                grant_types=["urn:openid:params:grant-type:ciba"],
            ),
            "device": make(
                issuer, trust, staff, scope="openid profile",
                grant_types=["urn:ietf:params:oauth:grant-type:device_code"],
            ),
        }  # fmt: skip
        done = subprocess.run(
            ["node", "flows.mjs"], cwd=folder, input=json.dumps(described), capture_output=True, text=True, timeout=180,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(cas)},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {line["flow"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("flow", FLOWS)
def test_a_client_written_by_others_gets_through(told: dict[str, Any], flow: str) -> None:
    assert told[flow]["ok"], told[flow]["error"]


def test_the_conformance_profile_says_what_the_settings_know() -> None:
    """Every line of the README's block is a setting, and none is what it would be anyway."""
    from portal.settings import Settings

    found = conformance(host="localhost", ca="/ca.pem")
    assert len(found) == 13
    plain = Settings(issuer="https://op.example")
    for name, value in found.items():
        part: Any = plain
        for step in name.removeprefix("SEKISHO_").lower().split("__"):
            part = getattr(part, step)
        assert str(part).lower() != value, name


def test_no_flow_is_forgotten_here(told: dict[str, Any]) -> None:
    assert tuple(told) == FLOWS
