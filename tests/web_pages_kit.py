"""A hub's pages as a process, how Chromium is begun, and what is looked for in a page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import suppress

import httpx2

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

# Texts whose colour differs too little from what is behind them (WCAG 2.1, 1.4.3: 4.5 to 1, 3 to 1 for large ones).
CONTRAST = """() => {
  const numbers = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = one => {
    for (let at = one; at; at = at.parentElement) {
      const found = numbers(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] > 0.99) return found;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const one of document.body.querySelectorAll("*")) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || one.closest("svg") || !one.getClientRects().length || one.closest(".skip")) continue;
    const style = getComputedStyle(one);
    const [a, b] = [light(numbers(style.color)), light(behind(one))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700);
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) bad.push(one.tagName + " " + one.textContent.trim().slice(0, 30));
  }
  return bad;
}"""


def started(clinic, *more):
    """Gives a server, and where it is."""
    words = [
        sys.executable,
        "-m",
        "wardgan",
        "serve",
        "--hub",
        "./hub",
        "--trust",
        str(clinic.trust),
        "--port",
        "0",
        *more,
    ]
    server = subprocess.Popen(words, cwd=clinic.home, stderr=subprocess.PIPE, env=env_of(clinic))
    lines = iter(server.stderr.readline, b"")
    place = next(found[0] for line in lines if (found := re.search(r"http://[\w.]+:\d+", line.decode())))
    for _ in range(300):
        with suppress(httpx2.TransportError):
            if "5 releases" in httpx2.get(place, timeout=5).text:
                break
        time.sleep(0.1)
    return server, place


def env_of(clinic):
    """Gives what the server finds around it."""
    return {**os.environ, "COLUMNS": "200", "WARDGAN_FILES": str(clinic.home / "files")}


def reached_by_keyboard(page, steps=60):
    """Gives what the tabulator key reaches, all of which must be seen to be reached."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    seen = set()
    for _ in range(steps):
        page.keyboard.press("Tab")
        active = "document.activeElement"
        tag, name = page.evaluate(f"[{active}.tagName, {active}.name || {active}.innerText]")
        assert tag == "BODY" or page.evaluate(f"getComputedStyle({active}).outlineStyle") != "none", name
        seen.add(name)
    return seen
