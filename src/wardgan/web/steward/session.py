"""Who may use the steward's pages: whoever has the address that was printed when they began, in one browser."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from wardgan.access.rules import AccessError
from wardgan.access.sessions import form_word
from wardgan.web.forms import check_origin

COOKIE: Final = "wardgan-steward"


class Session:
    """The one session there is.

    Attributes:
        word: What the address holds that opens it.
    """

    def __init__(self) -> None:
        self.word = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)

    def open(self, word: str) -> Response:
        """Begins it, and leads to the pages; the address stays good until they end.

        Args:
            word: What the address holds.

        Raises:
            AccessError: It is another word.
        """
        if not hmac.compare_digest(word.encode(), self.word.encode()):
            raise AccessError("That is not the address that was printed when the pages began.")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, self._cookie, path="/", httponly=True, samesite="strict")
        return answer

    @property
    def csrf(self) -> str:
        """What each form holds, and no other page can know."""
        return form_word(self._cookie)

    def check(self, request: Request) -> None:
        """Refuses who did not open the address.

        Args:
            request: What is asked.

        Raises:
            AccessError: They did not.
        """
        given = request.cookies.get(COOKIE, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._cookie.encode()):
            raise AccessError(
                "Open the address that was printed when the pages began: it holds the word that you need."
            )

    def check_form(self, request: Request, form: Mapping[str, str]) -> None:
        """Refuses a form that is not of these pages.

        Args:
            request: With what it came.
            form: Its fields.

        Raises:
            AccessError: It is not.
        """
        check_origin(request)
        if not hmac.compare_digest(form.get("csrf", "").encode("utf-8", "replace"), self.csrf.encode()):
            raise AccessError("The form is of other pages; open the page again.")
