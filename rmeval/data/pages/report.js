"use strict";
// Rows come gzipped and in base64, so that no text of theirs is ever parsed as HTML.
// A row: id, subset, section, chosen (how many), scores[model][response] = [value, tokens,
// truncated], prompt = [[role, content]…] or null, responses = [text…] or null.
const PAGE = 200, DIFF_CELLS = 16e6;
const element = (id) => document.getElementById(id);
const controls = ["model", "section", "subset", "state", "sort", "search"].filter(element);
let rows = [], found = [], shown = 0, current = null;

async function load() {
  const bytes = Uint8Array.from(atob(element("rows").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  rows = await new Response(stream).json();
  rows.forEach((row, place) => {
    row.place = place;
    row.margins = row.scores.map((scores) => marginOf(scores, row.chosen));
    row.truncated = row.scores.map((scores) => scores.some((score) => score[2]));
    const texts = row.prompt ? [...row.prompt.map((turn) => turn[1]), ...row.responses] : [];
    row.haystack = [row.id, ...texts].join("\n").toLowerCase();
  });
  for (const id of ["section", "subset"].filter(element)) {
    for (const name of new Set(rows.map((row) => row[id]))) {
      const option = make("option", visible(name));
      option.value = name; // as it is: HTML would strip its spaces
      element(id).append(option);
    }
  }
  readLink();
}

function marginOf(scores, chosen) {
  const values = scores.map((score) => score[0]);
  if (chosen === 0 || chosen === values.length) return NaN; // all responses are of one kind
  return Math.min(...values.slice(0, chosen)) - Math.max(...values.slice(chosen));
}

function stateOf(row, model) {
  const margin = row.margins[model];
  return margin > 0 ? "won" : margin < 0 ? "lost" : margin === 0 ? "tied" : "of one kind";
}

const sortable = (row, model) => row.margins[model] || 0; // none has no place of its own
const won = (row) => row.margins.filter((margin) => margin > 0).length;
const dispute = (row) => Math.min(won(row), row.margins.length - won(row));
const setting = (id) => (element(id) ? element(id).value : "");

function filter() {
  const model = Number(setting("model")), section = setting("section"), subset = setting("subset");
  const state = setting("state"), search = setting("search").toLowerCase(), sort = setting("sort");
  found = rows.filter((row) =>
    (!section || row.section === section) && (!subset || row.subset === subset) &&
    (!search || row.haystack.includes(search)) &&
    (!state || (state === "truncated" ? row.truncated[model] :
      state === "disputed" ? dispute(row) : stateOf(row, model) === state)));
  if (sort === "margin") found.sort((a, b) => sortable(a, model) - sortable(b, model));
  if (sort === "-margin") found.sort((a, b) => sortable(b, model) - sortable(a, model));
  if (sort === "dispute") found.sort((a, b) => dispute(b) - dispute(a));
  shown = 0;
  element("list").replaceChildren();
  element("list").scrollTop = 0;
  more();
  element("count").textContent = summary(model);
  writeLink();
}

function summary(model) {
  const count = (number) => number.toLocaleString("en");
  const parts = ["won", "lost", "tied"].map((state) =>
    `${count(found.filter((row) => stateOf(row, model) === state).length)} ${state}`);
  const truncated = found.filter((row) => row.truncated[model]).length;
  return `${count(found.length)} of ${count(rows.length)} rows: ${parts.join(", ")}; ${count(truncated)} truncated`;
}

// The list is one stop of the tab key; arrows move within it.
function more() {
  const model = Number(setting("model")), items = [];
  for (const row of found.slice(shown, shown + PAGE)) {
    const state = stateOf(row, model), button = listed("", () => choose(row));
    const mark = make("span", `${state}${Number.isNaN(row.margins[model]) ? "" : ` ${signed(row.margins[model])}`}${row.truncated[model] ? ", truncated" : ""}`);
    mark.className = state === "won" ? "won" : "lost";
    button.append(make("bdi", visible(row.id)), " · ", make("bdi", visible(row.subset)), " ", mark);
    button.dataset.place = row.place;
    button.setAttribute("aria-current", String(row === current));
    items.push(inItem(button));
  }
  shown = Math.min(found.length, shown + PAGE);
  if (shown < found.length) {
    const button = listed(`show ${Math.min(PAGE, found.length - shown)} more`, () => {
      const before = button.parentNode.previousSibling;
      button.parentNode.remove();
      more();
      before.nextSibling.firstChild.focus();
    });
    items.push(inItem(button));
  }
  element("list").append(...items);
  const stop = element("list").querySelector("[aria-current=true]") || element("list").querySelector("button");
  if (stop) stopAt(stop);
}

function listed(content, onClick) {
  const button = make("button", content);
  button.type = "button";
  button.tabIndex = -1;
  button.addEventListener("click", onClick);
  return button;
}

function inItem(button) {
  const item = make("li");
  item.append(button);
  return item;
}

function stopAt(button) {
  for (const other of element("list").querySelectorAll("button[tabindex='0']")) other.tabIndex = -1;
  button.tabIndex = 0;
}

function move(event) {
  const item = event.target.closest("li"), list = element("list");
  const next = { ArrowDown: item?.nextSibling, ArrowUp: item?.previousSibling,
    Home: list.firstChild, End: list.lastChild }[event.key];
  if (!next) return;
  event.preventDefault();
  next.firstChild.focus();
}

function choose(row) {
  current = row;
  for (const button of element("list").querySelectorAll("[aria-current=true]")) button.setAttribute("aria-current", "false");
  const button = element("list").querySelector(`[data-place="${row.place}"]`);
  if (button) { button.setAttribute("aria-current", "true"); stopAt(button); }
  const article = element("row");
  article.replaceChildren(make("h3", `${visible(row.id)} · ${visible(row.subset)}`));
  for (const [role, content] of row.prompt || []) article.append(line(role), text(content));
  if (!row.prompt) article.append(make("p", "The texts of this row are not in this report; its scores are."));
  const words = row.responses ? marked(row) : [];
  if (row.responses && !words) article.append(line("Too long to mark the words that differ."));
  const sides = make("div");
  sides.className = "sides";
  row.scores[0].forEach((_, index) => {
    const side = make("section");
    side.className = index < row.chosen ? "chosen" : "rejected";
    side.append(make("h4", side.className), facts(row, index));
    if (row.responses) {
      const pre = text(row.responses[index]);
      if (words && words[index]) pre.replaceChildren(...words[index]);
      side.append(pre);
    }
    sides.append(side);
  });
  article.append(sides);
  writeLink();
}

function facts(row, index) {
  const told = ([value, tokens, truncated]) =>
    `score ${value.toFixed(3)}, ${tokens.toLocaleString("en")} tokens${truncated ? ", truncated" : ""}`;
  if (row.scores.length === 1) return line(told(row.scores[0][index]));
  const list = make("ul");
  list.className = "meta";
  list.tabIndex = 0;
  row.scores.forEach((scores, model) => {
    list.append(make("li", `${element("model").options[model].text}: ${told(scores[index])}`));
  });
  return list;
}

// A rejected response is held against the chosen one in its place, or else the first.
function marked(row) {
  const sides = row.responses.map(() => null), even = row.responses.length === 2 * row.chosen;
  for (let index = row.chosen; index < sides.length; index++) {
    const partner = even ? index - row.chosen : 0;
    const words = differences(row.responses[partner], row.responses[index]);
    if (!words) return null;
    if (even) sides[partner] = words[0];
    sides[index] = words[1];
  }
  return sides;
}

// What is outside the longest common subsequence of words is marked. Equal ends are cut off first.
function differences(a, b) {
  const [left, right] = [a, b].map((side) => side.match(/\s*\S+|\s+$/g) || []);
  let start = 0, end = 0;
  const most = Math.min(left.length, right.length);
  while (start < most && left[start] === right[start]) start++;
  while (end < most - start && left[left.length - 1 - end] === right[right.length - 1 - end]) end++;
  const [one, other] = [left, right].map((side) => side.slice(start, side.length - end));
  if ((one.length + 1) * (other.length + 1) > DIFF_CELLS) return null;
  const middle = align(one, other);
  return [left, right].map((side, which) => joined([
    ...side.slice(0, start).map((word) => [word, false]),
    ...middle[which],
    ...side.slice(side.length - end).map((word) => [word, false]),
  ]));
}

function align(left, right) {
  const width = right.length + 1, table = new Uint16Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      table[i * width + j] = left[i] === right[j] ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const sides = [[], []];
  let i = 0, j = 0;
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && left[i] === right[j]) {
      sides[0].push([left[i++], false]);
      sides[1].push([right[j++], false]);
    } else if (j >= right.length || (i < left.length && table[(i + 1) * width + j] >= table[i * width + j + 1])) {
      sides[0].push([left[i++], true]);
    } else {
      sides[1].push([right[j++], true]);
    }
  }
  return sides;
}

// Words that stand together share a mark, and the space before a mark is outside it.
function joined(words) {
  const nodes = [];
  let run = "", differs = false;
  const close = () => { if (run) nodes.push(differs ? make("mark", run) : document.createTextNode(run)); };
  for (const [word, isMarked] of words) {
    const space = isMarked && !differs && word.trim() ? word.match(/^\s*/)[0] : "";
    if (isMarked !== differs) {
      run += space;
      close();
      run = "";
      differs = isMarked;
    }
    run += word.slice(space.length);
  }
  close();
  return nodes;
}

// Text goes in as text, always.
function make(name, content = "") {
  const made = document.createElement(name);
  made.textContent = content;
  return made;
}

function text(content) {
  const pre = make("pre", content);
  pre.className = "text";
  pre.dir = "auto";
  pre.tabIndex = 0;
  return pre;
}

function line(content) {
  const made = make("p", content);
  made.className = "meta";
  return made;
}

const visible = (name) => name.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
const signed = (value) => (value > 0 ? "+" : "") + value.toFixed(3);

function writeLink() {
  const link = new URLSearchParams();
  for (const id of controls) if (setting(id)) link.set(id, setting(id));
  if (current) link.set("row", current.id);
  history.replaceState(null, "", "#" + link);
}

function readLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  for (const id of controls) {
    element(id).value = link.get(id) || "";
    if (element(id).selectedIndex < 0) element(id).selectedIndex = 0;
  }
  current = rows.find((row) => row.id === link.get("row")) || null;
  filter();
  while (current && shown <= found.indexOf(current)) { element("list").lastChild.remove(); more(); }
  if (current) choose(current);
  const button = element("list").querySelector("[aria-current=true]");
  if (button) element("list").scrollTop = button.offsetTop - element("list").offsetTop;
}

for (const id of controls) element(id).addEventListener("input", filter);
element("filters").addEventListener("submit", (event) => event.preventDefault());
element("list").addEventListener("keydown", move);
element("list").addEventListener("focusin", (event) => stopAt(event.target));
addEventListener("hashchange", () => {
  if (element(location.hash.slice(1))) return; // a heading of the page
  readLink();
  element("browser").scrollIntoView();
});
load().catch((error) => { element("count").textContent = `the rows could not be read: ${error.message}`; });
