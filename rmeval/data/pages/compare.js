"use strict";
// The ranking of a benchmark: picking two of its models, and what is different between them.
const table = document.getElementById("ranking"), bar = document.getElementById("picked");
const dialog = document.getElementById("comparison");
let picked = [], groups = null;

// A name comes out of the page's text, and goes in as text.
function make(name, content = "", classes = "") {
  const made = document.createElement(name);
  made.textContent = content;
  if (classes) made.className = classes;
  return made;
}

const rowOf = (key) => table.querySelector(`tr[data-key="${CSS.escape(key)}"]`);
const nameOf = (key) => rowOf(key).querySelector("th.model").dataset.value;

function addPickers() {
  for (const row of table.tBodies[0].rows) {
    const box = make("input");
    box.type = "checkbox";
    box.setAttribute("aria-label", `compare ${nameOf(row.dataset.key)}`);
    box.addEventListener("change", () => pick(row.dataset.key, box.checked));
    row.querySelector("td.pick").append(box);
  }
}

// Of three picked ones the first gives way.
function pick(key, wanted) {
  picked = picked.filter((other) => other !== key);
  if (wanted) picked.push(key);
  picked = picked.slice(-2);
  for (const row of table.tBodies[0].rows) {
    const chosen = picked.includes(row.dataset.key);
    row.classList.toggle("chosen", chosen);
    row.querySelector("td.pick input").checked = chosen;
  }
  showPicked();
}

function showPicked() {
  bar.hidden = !picked.length;
  const names = make("p");
  names.append(...picked.flatMap((key, place) => [...(place ? [" against "] : []), make("strong", nameOf(key))]));
  if (picked.length === 1) names.append("; pick a second one to compare");
  const compare = make("button", "Compare", "button"), clear = make("button", "Clear", "button plain");
  compare.type = clear.type = "button";
  compare.disabled = picked.length < 2;
  compare.addEventListener("click", openComparison);
  clear.addEventListener("click", () => { picked = []; pick("", false); });
  bar.replaceChildren(names, compare, clear);
}

async function openComparison() {
  const [a, b] = picked;
  dialog.replaceChildren(make("p", "comparing…"));
  dialog.showModal();
  writePicked();
  groups = groups || await readVerdicts(document.getElementById("verdicts").textContent);
  await new Promise((done) => setTimeout(done)); // so that the dialog is there before the work
  showComparison(a, b);
}

function showComparison(a, b) {
  const group = groups.find((found) => a in found.of && b in found.of);
  const title = make("h2", `${nameOf(a)} against ${nameOf(b)}`);
  title.id = "versus";
  const close = make("button", "Close", "button plain");
  close.type = "button";
  close.addEventListener("click", () => dialog.close());
  const found = group ? tested(group, a, b) : [make("p", untested(a, b), "lead")], head = make("header");
  head.append(title, close);
  dialog.replaceChildren(head, ...found);
  close.focus();
}

function untested(a, b) {
  const published = [a, b].filter((key) => rowOf(key).dataset.origin === "published");
  const scores = [a, b].map((key) => rowOf(key).querySelector("td.score").textContent.trim() || "no Score");
  const why = published.length
    ? "a published figure has no rows here, so there is no paired test"
    : "they were not measured on the same rows, text by text, so there is no paired test";
  return `${scores.join(" and ")}: ${why}. The groups of the ranking say whether their intervals tell them apart.`;
}

function tested(group, a, b) {
  const { weighting, differences } = compareModels(group, a, b);
  const rows = differences.map((one) => [one.label, percent(one.a), percent(one.b), signed(one.value),
    one.interval.map(signed).join(" to "), one.onlyA, one.onlyB, shownP(one.p), shownP(one.holm), one.real ? "yes" : "no"]);
  const heads = ["metric", "A", "B", "B − A", "95 % interval", "only A", "only B", "p", "Holm", "real"];
  const region = make("div", "", "scroll");
  region.tabIndex = 0;
  region.setAttribute("role", "region");
  region.setAttribute("aria-label", "Differences");
  region.append(tableOf(heads, rows));
  const score = differences.find((one) => one.name === "overall");
  return [
    make("p", score ? verdict(score, nameOf(a), nameOf(b)) : "No Score to compare: a section is not whole.", "lead"),
    make("p", `A is ${nameOf(a)}, B is ${nameOf(b)}; ${weighting} weighting, percent. p: McNemar's test on the rows that only one of them wins, with the metric's weights, as rmeval compare makes it; Holm: corrected among the sections, and among the subsets; real: that is below 0.05.`, "note"),
    region,
    ...[[a, b, -1], [b, a, 1]].map(([winner, other, sign]) => wonOnlyBy(group, winner, other, a, b, sign)),
  ];
}

function verdict(score, a, b) {
  const about = `(95 % interval ${score.interval.map(signed).join(" to ")}, p = ${shownP(score.p)})`;
  if (!score.real) return `${b} is not distinguishable from ${a} on this benchmark ${about}.`;
  return `${b} is ${score.value > 0 ? "better" : "worse"} than ${a} by ${percent(Math.abs(score.value))} ${about}.`;
}

// The rows that count more with one model, each a link to the pair in its report.
function wonOnlyBy(group, winner, other, a, b, sign) {
  const [countedA, countedB] = [a, b].map((key) => group.credits[key].map(creditsOf)), found = [];
  group.strata.forEach((stratum, place) => stratum.ids.forEach((id, row) => {
    const width = stratum.leaves.length, cells = [...Array(width).keys()].map((column) => row * width + column);
    const change = sum(cells.map((cell) => countedB[place][cell] - countedA[place][cell]));
    if (change * sign > 1e-12) found.push(id);
  }));
  const details = make("details"), list = make("ul", "", "rows"), report = rowOf(winner).dataset.report;
  details.append(make("summary", `${found.length.toLocaleString("en")} rows count more with ${nameOf(winner)}`));
  details.addEventListener("toggle", () => {
    if (list.childElementCount) return;
    for (const id of found) {
      const link = make(report ? "a" : "span", visible(id));
      if (report) link.href = `${table.dataset.root}${report}#${new URLSearchParams({ row: id })}`;
      const item = make("li");
      item.append(link);
      list.append(item);
    }
  });
  details.append(list);
  return details;
}

function tableOf(heads, rows) {
  const made = make("table", "", "differences"), head = made.createTHead().insertRow(), body = made.createTBody();
  made.createCaption().append(make("span", "Differences, in percent", "hidden"));
  heads.forEach((name, column) => {
    const cell = make("th", name, column ? "number" : "");
    cell.scope = "col";
    head.append(cell);
  });
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((value, column) => {
      const cell = make(column ? "td" : "th", String(value), column ? "number" : "");
      if (!column) cell.scope = "row";
      line.append(cell);
    });
    line.classList.toggle("real", row.at(-1) === "yes");
  }
  return made;
}

const visible = (name) => name.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
const percent = (value) => (100 * value).toFixed(1);
const signed = (value) => `${value < 0 ? "−" : "+"}${percent(Math.abs(value))}`;
const shownP = (p) => (p === 1 ? "1" : p >= 0.0001 ? String(Number(p.toPrecision(2))) : p.toExponential(0));

// A link keeps which two were picked.
function writePicked() {
  const link = new URLSearchParams(location.hash.slice(1));
  link.delete("compare");
  if (dialog.open) link.set("compare", picked.join("~"));
  history.replaceState(null, "", `#${link}`);
}

function readPicked() {
  const keys = (new URLSearchParams(location.hash.slice(1)).get("compare") || "").split("~");
  if (keys.length !== 2 || keys[0] === keys[1] || !keys.every((key) => key && rowOf(key))) return;
  keys.forEach((key) => pick(key, true));
  openComparison();
}

// Groups are of the ranking: in another order there is no band of them.
table.addEventListener("sorted", (event) => {
  const head = table.tHead.rows[0].cells[event.detail.column].textContent.trim();
  const best = (head === "rank" && !event.detail.down) || (head === "Score" && event.detail.down);
  table.classList.toggle("ranked", best);
});
if (bar) {
  addPickers();
  dialog.addEventListener("close", writePicked);
  readPicked();
}
