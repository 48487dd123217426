"""Sign-in by OpenID Connect: who somebody is, said by an identity provider whom the hub's operator trusts.

The code flow with PKCE, a state that only the browser has that began, a nonce, and an ID token whose signature, issuer,
audience and times are checked here (OpenID Connect Core 1.0, section 3.1; RFC 7636; RFC 9207). Nothing but
who it is is taken from there: neither its access token nor its refresh token is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx2

from wardgan.access.rules import AccessError
from wardgan.errors import UsageError
from wardgan.hub.store import UnreachableError
from wardgan.hub.target import loopback

SECRET: Final = "WARDGAN_OIDC_SECRET"  # noqa: S105 - where it is, and not what it is
LIFE: Final = 600.0
_MOST: Final = 50_000
# How long it is not asked again after it did not answer.
_AGAIN: Final = 5.0
_AT_ONCE: Final = 8
_FRESH: Final = 3_600.0
_TIMEOUT: Final = 10.0
_LEEWAY: Final = 60
_LONGEST: Final = 4_000
# Signed with a private key; a shared secret, or none, proves nothing to us.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_KEYS: Final = ("RSA", "EC", "OKP")
_NAMES: Final = ("preferred_username", "email", "name")
_CODE: Final = re.compile("[a-z_]{1,40}")


@dataclass(frozen=True)
class Person:
    """Who signed in.

    Attributes:
        subject: Issuer and number there, which is never somebody else's.
        names: What they may be called, the best first; none of it proves anything, and the last is nobody else's.
        following: Page to go on with.
    """

    subject: str
    names: tuple[str, ...]
    following: str


@dataclass(frozen=True)
class _Begun:
    nonce: str
    verifier: str
    back: str
    following: str
    until: float


class Provider:
    """An identity provider.

    Args:
        issuer: Such as `https://login.hospital.example/realms/research`.
        client: Id under which it knows this hub.
        secret: What proves that; `None` for a client without one.
        claim: Name and value that an ID token must have, such as (`groups`, `researchers`); `None` for anybody.
        transport: How bytes travel; `None` for the network.

    Raises:
        UsageError: The issuer is no address, or on another machine and without TLS; or authlib is missing.

    Attributes:
        host: Of the issuer.
    """

    def __init__(
        self, issuer: str, client: str, *, secret: str | None = None, claim: tuple[str, str] | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self.host = _host_of(issuer)
        self._issuer = issuer
        self._client = client
        self._secret = secret
        self._claim = claim
        self._transport = transport
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._lock = Lock()
        self._facts: tuple[float, dict[str, Any]] | None = None
        self._keys: Any = None
        self._asks = Lock()
        self._gone_until = 0.0
        self._line = BoundedSemaphore(_AT_ONCE)
        _library()

    def begin(self, back: str, following: str) -> tuple[str, str]:
        """Gives the address of the provider's page, and the state that comes back from there.

        Args:
            back: Address of this hub to which the provider leads back.
            following: Page to go on with.

        Raises:
            UnreachableError: The provider does not answer as one.
        """
        facts = self._metadata()
        begun = _Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(48), back, following, time.monotonic() + LIFE)
        with self._asking(facts, back) as line:
            place, state = line.create_authorization_url(
                facts["authorization_endpoint"], state=secrets.token_urlsafe(32), nonce=begun.nonce,
                code_verifier=begun.verifier,
            )  # fmt: skip
        with self._lock:
            self._begun[state] = begun
            while len(self._begun) > _MOST:
                self._begun.popitem(last=False)
        return place, state

    def finish(self, answer: Mapping[str, str], state: str) -> Person:
        """Gives who came back from the provider.

        Args:
            answer: Parameters of the address to which it led.
            state: What the browser that began has.

        Raises:
            AccessError: It is another browser, was used before or too long ago, or the provider or this hub refuses.
            UnreachableError: The provider does not answer as one.
        """
        said = answer.get("state", "")
        if not state or not hmac.compare_digest(said.encode(), state.encode()):
            raise AccessError("This sign-in was not begun in this browser; begin again.", "nothing")
        with self._lock:
            begun = self._begun.pop(state, None)
        if begun is None or begun.until < time.monotonic():
            raise AccessError("This sign-in was begun too long ago, or used already; begin again.", "nothing")
        told = self._metadata().get("authorization_response_iss_parameter_supported") is True
        if answer.get("iss", None if told else self._issuer) != self._issuer:
            raise AccessError("Another provider than this hub's led here; begin again.", "nothing")
        code = answer.get("code", "")
        if "error" in answer or not code or len(code) > _LONGEST:
            why = answer.get("error", "")
            raise AccessError(
                f"{self.host} did not sign you in{f' ({why})' if _CODE.fullmatch(why) else ''}; begin again.", "nothing"
            )
        if not self._line.acquire(blocking=False):
            raise self._gone("too many sign in at once")
        try:
            return self._person(self._claims(code, begun), begun.following)
        finally:
            self._line.release()

    def _claims(self, code: str, begun: _Begun) -> dict[str, Any]:
        from authlib.common.errors import AuthlibBaseError
        from authlib.oidc.core import CodeIDToken
        from joserfc.errors import JoseError

        facts = self._metadata()
        try:
            with self._asking(facts, begun.back) as line:
                token = line.fetch_token(
                    facts["token_endpoint"], code=code, code_verifier=begun.verifier, redirect_uri=begun.back
                )
            found = self._verified(str(token["id_token"]), facts)
            essential = {
                "iss": {"essential": True, "value": self._issuer}, "aud": {"essential": True, "value": self._client},
            }  # fmt: skip
            params = {"nonce": begun.nonce, "client_id": self._client, "access_token": token.get("access_token")}
            CodeIDToken(found.claims, found.header, essential, params).validate(leeway=_LEEWAY)
        except (AuthlibBaseError, JoseError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
                ValueError) as error:  # fmt: skip
            # What exactly was wrong is for who runs the hub: it may quote what the provider sent.
            print(f"Sign-in with {self.host} failed: {type(error).__name__}.", file=sys.stderr)
            raise AccessError(f"What {self.host} says about you cannot be trusted; begin again.", "nothing") from error
        except httpx2.HTTPError as error:
            raise self._gone(type(error).__name__) from error
        return found.claims

    def _verified(self, token: str, facts: dict[str, Any]) -> Any:  # noqa: ANN401 - a token of joserfc
        """Gives an ID token whose signature is the provider's; its keys are fetched anew if it has a new one."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jws import JWSRegistry

        registry = JWSRegistry(algorithms=list(_ALGORITHMS), strict_check_header=False)
        if self._keys is not None:
            with suppress(JoseError):
                return jwt.decode(token, key=self._keys, registry=registry)
        # It may have another key by now, with or without a name of its own.
        self._keys = self._key_set(str(facts["jwks_uri"]))
        return jwt.decode(token, key=self._keys, registry=registry)

    def _key_set(self, place: str) -> Any:  # noqa: ANN401 - keys of joserfc
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet, import_key

        keys, good = self._got(place).get("keys"), []
        for one in keys if isinstance(keys, list) else ():
            if isinstance(one, dict) and one.get("kty") in _KEYS and one.get("use", "sig") == "sig":
                with suppress(JoseError, TypeError, ValueError, LookupError):  # one that nobody here knows
                    good.append(import_key(cast("dict[str, Any]", one)))
        return KeySet(good)

    def _person(self, claims: dict[str, Any], following: str) -> Person:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject or len(subject) > 255 or not subject.isprintable():
            raise AccessError(f"{self.host} does not say who you are.", "nothing")
        if self._claim is not None and not _has(claims, *self._claim):
            raise AccessError(f"{self.host} knows you, and this hub is not for you; ask the hub's operator.", "nothing")
        whole = f"{self._issuer} {subject}"
        names = [claims[name].strip()[:100] for name in _NAMES if isinstance(claims.get(name), str)]
        names += [hashlib.sha256(whole.encode()).hexdigest()[:16]]
        # Two providers may call two people alike.
        return Person(whole, tuple(f"{name} ({self.host})" for name in names if name), following)

    def _metadata(self) -> dict[str, Any]:
        """Gives what the provider says of itself (OpenID Connect Discovery 1.0, section 4)."""
        known = self._facts
        if known is not None and known[0] > time.monotonic():
            return known[1]
        # One asks, and who comes meanwhile is not kept waiting.
        if self._gone_until > time.monotonic() or not self._asks.acquire(blocking=False):
            raise self._gone("it did not answer a moment ago, or is being asked")
        try:
            found = self._asked()
        except UnreachableError:
            self._gone_until = time.monotonic() + _AGAIN
            raise
        finally:
            self._asks.release()
        self._facts = time.monotonic() + _FRESH, found
        return found

    def _asked(self) -> dict[str, Any]:
        found = self._got(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        places = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if found.get("issuer") != self._issuer or not all(isinstance(one, str) and _fine(one) for one in places):
            raise self._gone("no such provider")
        return found

    def _got(self, place: str) -> dict[str, Any]:
        try:
            with httpx2.Client(timeout=_TIMEOUT, transport=self._transport) as line:
                answer = line.get(place)
                found = answer.json() if answer.status_code == 200 else None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, RecursionError) as error:
            raise self._gone(type(error).__name__) from error
        if not isinstance(found, dict):
            raise self._gone(f"HTTP {answer.status_code}")
        return cast("dict[str, Any]", found)

    def _asking(self, facts: dict[str, Any], back: str) -> Any:  # noqa: ANN401 - a client of authlib
        from authlib.integrations.httpx_client import OAuth2Client

        known = facts.get("token_endpoint_auth_methods_supported")
        posted = isinstance(known, list) and "client_secret_basic" not in known
        way = "client_secret_post" if posted else "client_secret_basic"
        return OAuth2Client(
            self._client, self._secret, token_endpoint_auth_method=way if self._secret else "none",
            scope="openid profile email", redirect_uri=back, code_challenge_method="S256", timeout=_TIMEOUT,
            transport=self._transport,
        )  # fmt: skip

    def _gone(self, why: str) -> UnreachableError:
        return UnreachableError(f"{self.host} does not answer as an identity provider ({why}); try again in a moment.")


def provider_of(issuer: str, client: str | None, claim: str | None) -> Provider:
    """Gives the provider that an operator means; its secret is in `$WARDGAN_OIDC_SECRET`.

    Args:
        issuer: Its address.
        client: Id under which it knows this hub.
        claim: `NAME=VALUE` that an ID token must have; `None` for anybody.

    Raises:
        UsageError: Something is missing or wrong.
    """
    if not client:
        raise UsageError("oidc: say under which id the provider knows this hub, with --oidc-client.")
    wanted = None
    if claim is not None:
        name, equals, value = claim.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"oidc-claim={claim[:60]!r} is not NAME=VALUE, such as groups=researchers.")
        wanted = name, value
    return Provider(issuer, client, secret=os.environ.get(SECRET) or None, claim=wanted)


def _host_of(issuer: str) -> str:
    try:
        parts = urlsplit(issuer)
        host = "" if parts.query or parts.fragment or "@" in parts.netloc or not parts.hostname else parts.netloc
        _ = parts.port
    except ValueError:
        host = ""
    if not host or len(issuer) > 200 or not _fine(issuer):
        raise UsageError(
            f"oidc={issuer[:100]!r} is not the address of an identity provider, such as https://login.example/realm."
        )
    return host


def _fine(place: str) -> bool:
    """Whether an address has TLS, or is on this machine."""
    try:
        _ = urlsplit(place).port
    except ValueError:
        return False
    scheme, _, rest = place.partition("://")
    return (
        place.isprintable()
        and " " not in place
        and (scheme == "https" or (scheme == "http" and loopback(rest.partition("/")[0])))
    )


def _has(claims: Mapping[str, Any], name: str, value: str) -> bool:
    """Whether claims hold a value; a name such as `realm_access.roles` looks into them."""
    found: Any = claims
    for part in [name] if name in claims else name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return value in found if isinstance(found, list) else isinstance(found, str) and found == value


def _library() -> None:
    try:
        import authlib.integrations.httpx_client  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "Sign-in with a provider needs authlib. Install it with: pip install 'wardgan[oidc]'"
        ) from error
