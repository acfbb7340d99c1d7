let now = null;
let busy = false;

const percent = (value) => `${(100 * value).toFixed(1)} %`;

function line(parent, text, name) {
  const found = document.createElement("p");
  found.className = name;
  found.textContent = text;
  parent.append(found);
}

function told(result) {
  const [first, second] = result.names;
  $("result").replaceChildren();
  $("result").hidden = false;
  if (result.rate) {
    const [rate, low, high] = result.rate.map(percent);
    line($("result"), `${rate} of the votes for either are for ${first} (95 % interval ${low} to ${high}).`, "text big");
  }
  line($("result"), `${result.wins} for ${first}, ${result.losses} for ${second}, ties: ${result.ties}.`, "text");
  if (result.same) line($("result"), `Not asked, for both answers are the same: ${result.same}.`, "dim");
}

function draw(found) {
  now = found;
  show("progress", `${found.done} of ${found.total} voted on`);
  fill("bar", found.done, found.total);
  $("undo").disabled = !found.done;
  $("pair").hidden = found.at === undefined;
  $("result").hidden = true;
  if (found.result) told(found.result);
  if (found.at === undefined) return;
  $("prompt").replaceChildren();
  found.prompt.forEach(([role, text]) => {
    if (found.prompt.length > 1) line($("prompt"), role, "dim");
    line($("prompt"), text, "text");
  });
  show("left", found.answers[0]);
  show("right", found.answers[1]);
  window.scrollTo(0, 0);
}

async function act(body) {
  if (busy) return;
  busy = true;
  const found = await ask("act", body);
  busy = false;
  if (found) draw(found);
}

const vote = (which) => () => now && now.at !== undefined && act({ at: now.at, vote: which });
$("first").onclick = vote("left");
$("second").onclick = vote("right");
$("tie").onclick = vote("tie");
$("undo").onclick = () => act({ undo: true });
$("ask").onclick = () => act({ result: true });
keys({ 1: "first", 2: "second", 0: "tie", u: "undo", w: "ask" });

ask("state").then((found) => found && draw(found));
