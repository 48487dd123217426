"""Sign-in with an identity provider in a real browser, from the page of a release and back to it."""

import os
import re
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("authlib", reason="authlib is not installed (the extra oidc)")

import oidc_kit
import web_kit as kit
from web_pages_kit import CONTRAST, FLAGS, started

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")


def test_from_a_release_over_a_provider_to_patients(tmp_path, monkeypatch):
    clinic = kit.stocked(tmp_path)
    monkeypatch.setenv("WARDGAN_OIDC_SECRET", oidc_kit.SECRET)
    command = [sys.executable, "-m", "wardgan", "token", "list", "--database", "hub.db"]
    subprocess.run([*command[:4], "new", "Somebody", "--database", "hub.db"], cwd=clinic.home, check=True)
    with oidc_kit.identity() as idp, playwright.sync_playwright() as found:
        more = ["--oidc", idp.place, "--oidc-client", "hub", "--oidc-claim", "groups=researchers"]
        server, place = started(clinic, "--database", "hub.db", *more)
        browser = found.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            # Without scripts, as everything but the live preview.
            page = browser.new_context(
                base_url=place.replace("127.0.0.1", "localhost"), java_script_enabled=False
            ).new_page()
            page.goto("/releases/cardio/a:1.0")
            page.get_by_role("link", name=re.compile("synthetic patients")).first.click()
            link = page.get_by_role("link", name="Sign in with localhost")
            assert "play" in link.get_attribute("href")
            link.click()
            page.locator("#shown tbody tr").nth(4).wait_for()
            assert "/play/cardio/a:1.0" in page.url
            assert page.get_by_role("link", name=f"ana ({idp.place.removeprefix('http://')})").count() == 1
            page.goto("/account")
            page.get_by_role("button", name="Sign out").click()
            idp.claims["groups"] = ["nurses"]
            page.goto("/sign-in")
            page.get_by_role("link", name="Sign in with localhost").click()
            assert "this hub is not for you" in page.inner_text("main")
            seen = browser.new_context(
                base_url=place.replace("127.0.0.1", "localhost"), viewport={"width": 390, "height": 800}
            ).new_page()
            seen.goto("/sign-in")
            assert seen.evaluate(CONTRAST) == []
            assert seen.evaluate("document.documentElement.scrollWidth") <= 390
            if folder := os.environ.get("WARDGAN_SHOTS"):
                seen.screenshot(path=f"{folder}/oidc-390.png")
        finally:
            browser.close()
            server.terminate()
            said = server.communicate(timeout=30)[1].decode()
    assert "Traceback" not in said
    assert "an-access-token" not in said
    done = subprocess.run(command, cwd=clinic.home, capture_output=True, text=True, check=True)
    assert "ana (localhost" in done.stdout
