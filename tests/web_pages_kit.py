"""How Chromium is begun, and what is looked for in a page."""

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
