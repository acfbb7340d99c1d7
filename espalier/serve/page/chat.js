"use strict";
// What models and documents say becomes text nodes, never HTML.
const $ = (id) => document.getElementById(id);
const [talk, cards, sources, text, model, key] = ["talk", "cards", "sources", "text", "model", "key"].map($);
let messages = [], running = null;

function make(tag, content = "", name = "") {
  const node = document.createElement(tag);
  node.textContent = content;
  if (name) node.className = name;
  return node;
}

function headers() {
  const found = { "Content-Type": "application/json" };
  if (key.value) found.Authorization = `Bearer ${key.value}`;
  return found;
}

// Markdown, the little that answers have: code, bold, links to this server or the web, lists.
function inline(parent, line, cite) {
  const known = /(`[^`\n]+`)|(\*\*[^*\n]+\*\*)|\[((?:\\.|[^\]\\])+)\]\((https?:\/\/[^\s)]+)\)|\[(\d+)\]|\\([\\`*_{}[\]<>()#!|~])/g;
  let done = 0;
  for (const found of line.matchAll(known)) {
    parent.append(line.slice(done, found.index));
    done = found.index + found[0].length;
    if (found[1]) parent.append(make("code", found[1].slice(1, -1)));
    else if (found[2]) parent.append(make("strong", found[2].slice(2, -2)));
    else if (found[3]) {
      const link = make("a", found[3].replace(/\\(.)/g, "$1"));
      link.href = found[4];
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      parent.append(link);
    } else if (cite && Number(found[5]) <= cite.citations.length && found[5] > 0) {
      const mark = make("button", found[0], "cite");
      mark.type = "button";
      mark.addEventListener("click", () => show(list(cite.citations, cite.passages)[found[5] - 1]));
      parent.append(mark);
    } else parent.append(found[6] || found[0]);
  }
  parent.append(line.slice(done));
}

function markdown(parent, source, cite) {
  parent.replaceChildren();
  source.split(/```(?:\w*\n)?/).forEach((part, at) => {
    if (at % 2) return parent.append(make("pre", part));
    for (const block of part.split(/\n{2,}/)) {
      if (!block.trim()) continue;
      const paragraph = make("p");
      block.trim().split("\n").forEach((line, number) => {
        if (number) paragraph.append(document.createElement("br"));
        inline(paragraph, line, cite);
      });
      parent.append(paragraph);
    }
  });
}

function show(card) {
  for (const other of cards.children) other.classList.toggle("on", other === card);
  card.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

// One card for each source: the passage with the quoted stretch marked, and where it stands.
function list(citations, passages) {
  cards.replaceChildren();
  sources.hidden = !citations.length && !passages.length;
  const found = citations.map((citation) => {
    const passage = passages.find((one) => citation.verified && one.document === citation.document && one.start <= citation.start && citation.end <= one.end);
    return card(`[${citation.number}] ${citation.title || citation.document}`, citation, passage);
  });
  if (!citations.length) passages.forEach((passage) => card(`read: ${passage.title || passage.document}`, { ...passage, verified: true, start: 0, end: 0 }, passage));
  return found;
}

function card(title, citation, passage) {
  const node = make("div", "", "card");
  node.append(make("b", title));
  const place = [citation.document, citation.place].filter(Boolean).join(", ");
  if (!citation.verified) node.append(make("small", "not found in the documents", "problem"));
  else node.append(make("small", place));
  const quote = make("p");
  if (passage) {
    const points = [...passage.text]; // offsets count characters, not UTF-16 units
    const [start, end] = [Math.max(0, citation.start - passage.start), Math.max(0, citation.end - passage.start)];
    quote.append(points.slice(0, start).join(""));
    if (end > start) quote.append(make("mark", points.slice(start, end).join("")));
    quote.append(points.slice(Math.max(start, end)).join(""));
  } else quote.textContent = citation.quote || "";
  node.append(quote);
  cards.append(node);
  return node;
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    const lines = held.split("\n");
    held = lines.pop();
    for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6);
  }
}

async function answer(turn) {
  let said = "", over = false, cite = null;
  const body = { model: model.value, messages, stream: true };
  const response = await fetch("v1/chat/completions", { method: "POST", headers: headers(), body: JSON.stringify(body), signal: running.signal });
  if (!response.ok) throw new Error((await response.json()).error.message);
  try {
    for await (const data of events(response)) {
      if (data === "[DONE]") { over = true; break; }
      const event = JSON.parse(data);
      if (event.error) throw new Error(event.error.message);
      if (event.citations) {
        cite = { citations: event.citations, passages: event.passages || [] };
        list(cite.citations, cite.passages);
      }
      for (const choice of event.choices || []) said += (choice.delta && choice.delta.content) || "";
      markdown(turn, event.citations ? said.split("\n\nSources:\n")[0] : said, cite);
      turn.scrollIntoView({ block: "end" });
    }
    if (!over) throw new Error("The answer broke off.");
  } finally {
    if (said) messages.push({ role: "assistant", content: said });
  }
}

async function send() {
  const asked = text.value.trim();
  if (!asked || running) return;
  text.value = "";
  grow();
  list([], []);
  messages.push({ role: "user", content: asked });
  const turn = make("div", "...", "turn wait");
  talk.append(make("div", asked, "turn user"), turn);
  turn.scrollIntoView({ block: "end" });
  running = new AbortController();
  buttons();
  try {
    await answer(turn);
  } catch (problem) {
    if (turn.classList.contains("wait") && turn.textContent === "...") turn.replaceChildren();
    const stopped = problem.name === "AbortError";
    turn.append(make("p", stopped ? "(stopped)" : problem.message, stopped ? "wait" : "problem"));
    if (messages.at(-1).role === "user") messages.pop();
  }
  turn.classList.remove("wait");
  running = null;
  buttons();
  text.focus();
}

function buttons() {
  $("stop").hidden = !running;
  $("send").hidden = Boolean(running);
}

function grow() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

async function models() {
  const response = await fetch("v1/models", { headers: headers() });
  if (!response.ok) throw new Error((await response.json()).error.message);
  const found = (await response.json()).data.filter((one) => one.kind !== "embedder");
  model.replaceChildren(...found.map((one) => make("option", one.id)));
  const index = found.find((one) => one.kind === "index");
  if (index) model.value = index.id;
}

function restart() {
  if (running) running.abort();
  messages = [];
  talk.replaceChildren();
  list([], []);
  text.focus();
}

function begin() {
  talk.replaceChildren();
  models().catch((problem) => talk.replaceChildren(make("p", problem.message, "turn problem")));
}

$("ask").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("stop").addEventListener("click", () => running && running.abort());
$("new").addEventListener("click", restart);
$("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && running) running.abort(); });
text.addEventListener("input", grow);
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
});
key.addEventListener("change", () => { sessionStorage.setItem("key", key.value); begin(); });
if (localStorage.getItem("theme")) document.documentElement.dataset.theme = localStorage.getItem("theme");
if (document.documentElement.dataset.keyed === "true") {
  key.hidden = false;
  key.value = sessionStorage.getItem("key") || "";
}
if (key.hidden || key.value) begin();
else talk.append(make("p", "This server asks for an API key.", "turn wait"));
text.focus();
