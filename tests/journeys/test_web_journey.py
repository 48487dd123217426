"""The pages of a hub in a real browser: Debian's Chromium, driven by Playwright."""

import csv
import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pandas as pd
import pytest

import web_kit as kit
from web_pages_kit import CONTRAST, FLAGS, reached_by_keyboard, started

CHROMIUM = shutil.which("chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")
PAGES = [
    "/",
    "/releases/cardio/a:1.0",
    "/releases/region/all:1",
    "/play/cardio/a:1.0?seed=1&n=50",
    "/compare",
    "/statistics",
    "/nothing",
]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    server, place = started(kit.stocked(tmp_path_factory.mktemp("web")), "--publisher", "Hospital X")
    try:
        yield place
    finally:
        server.send_signal(signal.SIGTERM)
        said = server.communicate(timeout=30)[1].decode()
    assert "Traceback" not in said, said


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as found:
        one = found.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield one
        one.close()


@pytest.fixture
def page(browser, address):
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900}, accept_downloads=True)
    found = context.new_page()
    found.problems = []
    found.on("console", lambda said: found.problems.append(said.text) if said.type == "error" else None)
    found.on("pageerror", lambda error: found.problems.append(str(error)))
    yield found
    context.close()


def test_from_the_list_to_a_download(page):
    page.goto("/")
    page.get_by_label("Search releases").fill("sbp")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="epsilon up to 1").click()
    assert page.get_by_role("heading", level=1).inner_text().endswith("releases")
    page.get_by_role("link", name="Remove the filter Privacy: epsilon up to 1").click()
    page.goto("/releases/cardio/a:1.0")
    page.get_by_role("link", name="Look at synthetic patients").click()
    page.locator("#shown tbody tr").nth(19).wait_for()
    assert page.locator("#shown tbody tr").count() == 20
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download 10,000").click()
    rows = list(csv.reader(io.StringIO(waiting.value.path().read_text(encoding="utf-8"))))
    assert len({row[0] for row in rows}) == 10_001
    assert page.problems == []


def test_a_catalogue_of_others_harvests_it(address):
    found = httpx2.get(f"{address}/api/v1/dcat", timeout=60).json()
    assert found["dct:publisher"]["foaf:name"]["@value"] == "Hospital X"
    assert len(found["dcat:dataset"]) == 5


def test_a_file_is_made_in_the_background_and_taken_home(page):
    page.goto("/play/cardio/a:1.0?seed=3&n=20")
    page.get_by_label("Or how many").fill("30000")
    page.get_by_label("as", exact=True).select_option("parquet")
    page.get_by_role("button", name="Make a file").click()
    page.get_by_role("link", name="Download (parquet").wait_for(timeout=60_000)
    assert page.evaluate(CONTRAST) == []
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download (parquet").click()
    assert waiting.value.suggested_filename == "a-1.0-3.parquet"
    assert len(pd.read_parquet(waiting.value.path())) > 10_000
    page.get_by_role("link", name="Files", exact=True).click()
    assert page.evaluate(CONTRAST) == []
    page.get_by_role("link", name="cardio/a:1.0").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("There are none").wait_for()
    assert page.problems == []


def test_a_server_that_is_killed_makes_its_files_when_it_is_back(tmp_path):
    clinic = kit.stocked(tmp_path)
    server, place = started(clinic)
    asked = {"n": 3_000_000, "seed": 1}
    number = httpx2.post(f"{place}/api/v1/sample/cardio/a:1.0", params=asked, timeout=60).json()["id"]
    for _ in range(600):
        if httpx2.get(f"{place}/api/v1/jobs/{number}", timeout=60).json()["done"]:
            break
        time.sleep(0.05)
    server.kill()
    server.communicate(timeout=30)
    assert not list((tmp_path / "files" / number).glob("*.csv"))
    server, place = started(clinic)
    try:
        for _ in range(1200):
            found = httpx2.get(f"{place}/api/v1/jobs/{number}", timeout=60).json()
            if found["state"] == "ready":
                break
            time.sleep(0.1)
        assert found["state"] == "ready"
        with httpx2.stream("GET", f"{place}/api/v1/jobs/{number}/file", timeout=60) as answer:
            size = sum(len(part) for part in answer.iter_bytes())
        assert size == found["bytes"]
        assert {one.name for one in (tmp_path / "files" / number).iterdir()} == {"job.json", "a-1.0-1.csv"}
    finally:
        server.send_signal(signal.SIGTERM)
        assert "Traceback" not in server.communicate(timeout=30)[1].decode()


def test_the_live_preview_follows_the_form(page):
    page.goto("/play/cardio/a:1.0?seed=7&n=20")
    before = page.locator("#shown").inner_text()
    page.evaluate("window.stays = true")
    page.get_by_label("arm").select_option("intensive")
    page.wait_for_function("() => !document.querySelector('#shown').innerText.includes('standard\\t')")
    page.wait_for_function("() => location.search.includes('is.arm=intensive')")
    cells = page.locator("#shown tbody tr td:nth-child(3)").all_inner_texts()
    assert page.locator("#shown").inner_text() != before
    assert len(cells) == 20
    assert page.evaluate("window.stays") is True
    address = page.url
    shown = page.locator("#shown tbody").inner_text()
    page.goto(address)
    assert page.locator("#shown tbody").inner_text() == shown
    assert page.problems == []


def test_all_of_it_works_without_scripts(browser, address):
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/play/cardio/a:1.0?seed=7&n=20")
    page.get_by_label("arm").select_option("intensive")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**is.arm=intensive**")
    page.locator("#shown tbody tr").nth(19).wait_for()
    context.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(browser, address, width, scheme):
    context = browser.new_context(base_url=address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    for path in PAGES:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        assert page.evaluate(CONTRAST) == [], path
    context.close()


def left_in_the_middle(place):
    """Gives a connection on which ten million patients are on their way, of which a few were read."""
    host, port = place.removeprefix("http://").split(":")
    found = socket.create_connection((host, int(port)))
    found.sendall(f"GET /api/v1/sample/cardio/a:1.0?n=10000000&seed=1 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert b"200 OK" in found.recv(1 << 16)
    return found


def test_who_leaves_a_download_makes_room_for_others(address):
    for _ in range(4):
        left_in_the_middle(address).close()
    answer = httpx2.get(f"{address}/api/v1/sample/cardio/a:1.0?n=1000&seed=1", timeout=60)
    assert answer.status_code == 200
    assert answer.text.count("\n") > 1000


def test_ctrl_c_ends_it_though_somebody_does_not_read(tmp_path):
    server, place = started(kit.stocked(tmp_path))
    held = left_in_the_middle(place)
    workers = subprocess.run(
        ["pgrep", "-P", str(server.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    assert workers
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=60)
    held.close()
    for _ in range(50):
        if not any(alive(one) for one in workers):
            break
        time.sleep(0.1)
    assert not any(alive(one) for one in workers)


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_from_a_token_over_terms_to_patients(browser, tmp_path):
    """The operator's commands, and then a researcher in a browser."""
    clinic = kit.stocked(tmp_path)

    def done(*words):
        command = [sys.executable, "-m", "wardgan", *words, "--database", "hub.db"]
        found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        return found.stdout.strip()

    (tmp_path / "terms.md").write_text("Nobody is to be found again.", encoding="utf-8")
    token = done("token", "new", "Ana Example")
    done("access", "set", "cardio/*", "terms", "--terms", "terms.md")
    server, place = started(clinic, "--database", "hub.db")
    try:
        page = browser.new_context(base_url=place, accept_downloads=True).new_page()
        page.goto("/releases/cardio/a:1.0")
        page.get_by_role("link", name="Look at synthetic patients").click()
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Nobody is to be found again.").wait_for()
        page.get_by_role("button", name="I accept these terms").click()
        page.get_by_role("link", name="Look at synthetic patients").click()
        page.locator("#shown tbody tr").nth(19).wait_for()
        page.goto("/releases/cardio/a:1.0")
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Download the generator").click()
        assert waiting.value.path().read_bytes() == clinic.file("a").read_bytes()
        for path in ("/account", "/terms/cardio/a:1.0", "/sign-in"):
            page.goto(path)
            assert page.evaluate(CONTRAST) == [], path
        page.goto("/account")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("link", name="Sign in").wait_for()
    finally:
        server.send_signal(signal.SIGTERM)
        assert "Traceback" not in server.communicate(timeout=30)[1].decode()
    shown = json.loads(done("audit-log", "show", "--json"))["lines"]
    assert [one["action"] for one in shown] == [
        "token made", "policy set", "serving", "signed in", "terms accepted", "sampled", "file taken", "signed out",
    ]  # fmt: skip
    done("audit-log", "verify", "--seen", shown[2]["digest"])


def test_the_keyboard_reaches_everything(page):
    page.goto("/play/cardio/a:1.0?seed=1")
    assert {"n", "seed", "is.arm", "Show", "Releases"} <= reached_by_keyboard(page)
