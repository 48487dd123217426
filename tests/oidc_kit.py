"""An identity provider on this machine: a discovery document, keys, a page that signs in at once, and tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

import web_kit
from wardgan.web.oidc import Provider

CLIENT, SECRET = "hub", "s3cret"
START = "/sign-in/elsewhere"


class Identity:
    """A provider, whose answers a test may change before they are sent.

    Attributes:
        change: Takes the claims of an ID token, and gives those that are signed.
        sign: Takes claims, and gives an ID token.
        heard: What was asked, as (path, fields).
        proofs: What the hub sent to prove who it is, as (fields, header).
    """

    def __init__(self):
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.keys = [self.key]
        self.claims = {"sub": "4711", "preferred_username": "ana", "groups": ["researchers"]}
        self.change = lambda claims: claims
        self.sign = self.signed
        self.metadata = lambda facts: facts
        self.refuses = None
        self.basic = True
        self.heard = []
        self.proofs = []
        self.codes = {}
        self.place = ""

    def signed(self, claims, *, key=None, **header):
        return jwt.encode({"alg": "RS256", "kid": "one", **header}, claims, key or self.key)

    def shared(self, claims, secret=None):
        """An ID token that is signed with what others know: a word, or the public key as if it were one."""
        parts = ({"alg": "HS256", "kid": "one", "typ": "JWT"}, claims)
        text = ".".join(_text(json.dumps(part).encode()) for part in parts)
        mac = hmac.new(secret or self.key.as_pem(private=False), text.encode(), "sha256").digest()
        return f"{text}.{_text(mac)}"

    @staticmethod
    def unsigned(claims):
        parts = ({"alg": "none", "typ": "JWT"}, claims)
        return ".".join(_text(json.dumps(part).encode()) for part in parts) + "."

    def answer(self, path, fields, headers):
        """Gives status, headers and text of an answer."""
        self.heard.append((path, fields))
        if path == "/.well-known/openid-configuration":
            return 200, {}, json.dumps(self.metadata({
                "issuer": self.place, "authorization_endpoint": f"{self.place}/authorize",
                "token_endpoint": f"{self.place}/token", "jwks_uri": f"{self.place}/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_basic" if self.basic else "client_secret_post"],
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            }))  # fmt: skip
        if path == "/keys":
            keys = [one.as_dict(private=False) for one in self.keys]
            return 200, {}, json.dumps({"keys": [*keys, {"kty": "odd"}, {"kty": "oct", "k": "AAAA", "kid": "one"}]})
        if path == "/authorize":
            return 303, {"Location": self.led(fields)}, ""
        if path == "/token":
            return self.token(fields, headers)
        return 404, {}, ""

    def led(self, fields):
        """Gives where somebody is led to who signed in here."""
        assert fields["response_type"] == "code"
        assert fields["code_challenge_method"] == "S256"
        assert "openid" in fields["scope"].split()
        code = f"code-{len(self.codes)}"
        self.codes[code] = fields
        said = {"error": self.refuses} if self.refuses else {"code": code}
        return fields["redirect_uri"] + "?" + urlencode({**said, "state": fields["state"], "iss": self.place})

    def token(self, fields, headers):
        self.proofs.append((fields, headers.get("Authorization")))
        asked = self.codes.pop(fields.get("code"), None)
        verifier = fields.get("code_verifier", "")
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        known = (
            headers.get("Authorization") == f"Basic {basic}" if self.basic else fields.get("client_secret") == SECRET
        )
        if not known or asked is None or asked["redirect_uri"] != fields.get("redirect_uri"):
            return 400, {}, json.dumps({"error": "invalid_grant"})
        if _text(hashlib.sha256(verifier.encode()).digest()) != asked["code_challenge"]:
            return 400, {}, json.dumps({"error": "invalid_grant"})
        now = int(time.time())
        access = "an-access-token"
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims = {"iss": self.place, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
                  "at_hash": _text(half), **self.claims}  # fmt: skip
        found = {"access_token": access, "token_type": "Bearer", "id_token": self.sign(self.change(claims))}
        return 200, {}, json.dumps(found)


def led(client, place=START):
    """Begins, and gives the provider's page, and where it leads back to."""
    answer = client.get(place, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    page = answer.headers["location"]
    return page, httpx2.get(page).headers["location"]


def come(client, place=START):
    """Signs in, and gives the page that follows."""
    return client.get(led(client, place)[1], follow_redirects=False)


def other_key():
    return ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})


@contextmanager
def identity():
    found = Identity()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            self.say(parts.path, dict(parse_qsl(parts.query)))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.say(self.path, {name: values[0] for name, values in parse_qs(body).items()})

        def say(self, path, fields):
            status, headers, text = found.answer(path, fields, self.headers)
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    found.place = f"http://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _text(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@contextmanager
def guarded(clinic, idp, **more):
    """A hub with accounts, new ones, that trusts a provider."""
    for old in clinic.home.glob("hub.db*"):
        old.unlink()
    with web_kit.guarded(clinic, **more) as (client, database, rules):
        client.app.state.provider = Provider(idp.place, CLIENT, secret=SECRET)
        yield client, database, rules
