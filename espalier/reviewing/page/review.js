"use strict";
const $ = (id) => document.getElementById(id);

function show(id, text) {
  $(id).textContent = text;
}

function fill(bar, done, total) {
  $(bar).style.setProperty("width", `${total ? (100 * done) / total : 100}%`);
}

async function ask(path, body) {
  const how = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  try {
    const reply = await fetch(path, how);
    const found = await reply.json();
    show("problem", reply.ok ? "" : found.problem || (found.error && found.error.message) || "That did not work.");
    return reply.ok ? found : null;
  } catch {
    show("problem", "The program in the terminal has ended. Start it again; what you did is saved.");
    return null;
  }
}

function keys(does) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.tagName === "TEXTAREA" && event.key !== "Escape") return;
    const button = does[event.key];
    if (button && !$(button).disabled && $(button).offsetParent !== null) {
      event.preventDefault();
      $(button).click();
    }
  });
}
