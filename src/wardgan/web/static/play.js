// The live preview: the form is sent in the background, and the patients take the place of those shown.
"use strict";
const form = document.getElementById("play");
const shown = document.getElementById("shown");
let waiting = null;
let running = null;

async function show() {
  if (running) running.abort();
  running = new AbortController();
  const filled = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(filled);
  const address = form.action + "?" + query;
  shown.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { signal: running.signal, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("shown");
    if (!found) { form.submit(); return; }
    shown.replaceChildren(...found.childNodes);
    history.replaceState(null, "", answer.url);
    shown.removeAttribute("aria-busy");
  } catch (error) {
    if (error.name !== "AbortError") { form.submit(); }
  }
}

form.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { if (form.checkValidity()) show(); }, 250);
});
