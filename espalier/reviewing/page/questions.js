let items = [];
let at = 0;

function counted(counts) {
  const done = items.length - counts.left;
  const parts = ["accepted", "edited", "refused"].map((name) => `${counts[name]} ${name}`);
  show("progress", `${done} of ${items.length} looked at: ${parts.join(", ")}`);
  fill("bar", done, items.length);
}

function draw() {
  const item = items[at];
  show("number", `${at + 1} of ${items.length}${item.languages ? `, ${item.languages}` : ""}`);
  show("review", item.review ? `: ${item.review}` : "");
  $("review").className = item.review === "refused" ? "bad" : "good";
  show("question", item.question);
  show("answers", item.answers.join("\n"));
  show("source", item.source);
  show("title", item.title);
  ["before", "quote", "behind"].forEach((id, number) => show(id, item.passage[number]));
  $("previous").disabled = at === 0;
  $("next").disabled = at === items.length - 1;
  writing(false);
  $("quote").scrollIntoView({ block: "nearest" });
}

function writing(on) {
  $("form").hidden = !on;
  $("read").hidden = on;
}

function go(to) {
  if (to >= 0 && to < items.length) {
    at = to;
    draw();
  }
}

function undecided() {
  const order = items.map((_, step) => (at + 1 + step) % items.length);
  const found = order.find((number) => !items[number].review);
  go(found === undefined ? at : found);
}

async function decide(verdict, more) {
  const number = at;
  const found = await ask("act", { at: number, verdict, ...more });
  if (!found) return;
  items[number] = found.item;
  counted(found.counts);
  if (number !== at) return;
  if (verdict) undecided();
  else draw();
}

$("accept").onclick = () => decide("accepted");
$("refuse").onclick = () => decide("refused");
$("clear").onclick = () => decide(null);
$("previous").onclick = () => go(at - 1);
$("next").onclick = () => go(at + 1);
$("open").onclick = undecided;
$("edit").onclick = () => {
  const item = items[at];
  $("typed-question").value = item.question;
  $("typed-answers").value = item.answers.join("\n");
  $("typed-quote").value = item.quote;
  writing(true);
  $("typed-question").focus();
};
$("cancel").onclick = () => {
  show("problem", "");
  writing(false);
};
$("form").onsubmit = (event) => {
  event.preventDefault();
  const answers = $("typed-answers").value.split("\n");
  decide("edited", { question: $("typed-question").value, answers, quote: $("typed-quote").value });
};
$("form").onkeydown = (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
};
keys({ a: "accept", e: "edit", r: "refuse", u: "clear", j: "next", k: "previous", n: "open", Escape: "cancel" });

ask("state").then((found) => {
  if (!found) return;
  items = found.items;
  counted(found.counts);
  const first = items.findIndex((item) => !item.review);
  go(Math.max(first, 0));
});
