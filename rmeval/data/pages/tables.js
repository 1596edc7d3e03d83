"use strict";
// Sorting, filtering and the keyboard, for any table of a page. The rows are in the page as HTML:
// without this script they are all there, in the order of the page.
//   <table data-sortable>             its heads become buttons; a cell's data-value is sorted by,
//                                     else its text; <th data-down> begins with the largest
//   <form data-filters="TABLE'S ID">  its fields, by name, filter the rows: `text` all of a row's
//                                     text, `since` its data-date, any other its data-NAME
//   <tr data-TYPE="…" data-DATE="…">  what the fields are held against
const blank = (value) => value === "" || value === undefined || value === null;

function cellValue(row, column) {
  const cell = row.cells[column], told = cell.dataset.value;
  const text = told === undefined ? cell.textContent.trim() : told;
  if (cell.classList.contains("number") && !Number.isNaN(parseFloat(text))) return parseFloat(text);
  return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
}

// Numbers before texts, and what is blank last, in either direction.
function compareValues(a, b, down) {
  if (blank(a) || blank(b)) return Number(blank(a)) - Number(blank(b));
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  const order = typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  return down ? -order : order;
}

// Columns keep the widths that all rows gave them: nothing jumps, and a filter of many rows is laid
// out in a fraction of the time.
function keepWidths(table) {
  if (table.style.tableLayout) return;
  const heads = [...table.tHead.rows[0].cells], widths = heads.map((head) => head.getBoundingClientRect().width);
  table.style.width = `${table.getBoundingClientRect().width}px`;
  table.style.tableLayout = "fixed";
  heads.forEach((head, column) => { head.style.width = `${widths[column]}px`; });
}

function forgetWidths(table) {
  table.style.tableLayout = table.style.width = "";
  for (const head of table.tHead.rows[0].cells) head.style.width = "";
}

function sortTable(table, column, down) {
  keepWidths(table);
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => [cellValue(row, column), row]);
  keyed.sort((a, b) => compareValues(a[0], b[0], down)); // stable: ties keep their order
  body.append(...keyed.map((pair) => pair[1]));
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
  table.dispatchEvent(new CustomEvent("sorted", { detail: { column, down } }));
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (head.hasAttribute("data-unsorted")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort"), first = head.hasAttribute("data-down");
      sortTable(table, column, now ? now === "ascending" : first);
    });
  });
}

// What is searched: a row's text, once; looking it up at each key would lay the page out anew.
const texts = new WeakMap();
function textOf(row) {
  if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase().replace(/\s+/g, " "));
  return texts.get(row);
}

function passes(row, wanted) {
  return wanted.every(([name, value]) => {
    if (name === "text") return textOf(row).includes(value.trim().toLowerCase());
    if (name === "since") return !blank(row.dataset.date) && row.dataset.date >= value;
    return row.dataset[name] === value;
  });
}

function applyFilters(form) {
  const table = document.getElementById(form.dataset.filters), rows = [...table.tBodies[0].rows];
  const wanted = [...new FormData(form)].filter((pair) => pair[1] !== "");
  let shown = 0;
  if (wanted.length) keepWidths(table);
  for (const row of rows) {
    const passed = passes(row, wanted);
    if (row.hidden === passed) row.hidden = !passed;
    shown += passed;
  }
  const status = form.querySelector("[role=status]");
  if (status) status.textContent = `${shown} of ${rows.length} rows`;
  const link = new URLSearchParams(location.hash.slice(1));
  for (const field of form.elements) if (field.name) link.delete(field.name);
  for (const [name, value] of wanted) link.set(name, value);
  const hash = String(link);
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

// A link's filters, as `applyFilters` writes them.
function readFilters(form) {
  const link = new URLSearchParams(location.hash.slice(1));
  for (const field of form.elements) {
    if (!field.name) continue;
    field.value = link.get(field.name) || "";
    if (field.selectedIndex === -1) field.selectedIndex = 0;
  }
  applyFilters(form);
}

// "/" goes to the search, Escape empties it; arrows go up and down among the same things of rows.
function onKey(event) {
  const at = event.target, typing = at.matches("input:not([type=checkbox]), select, textarea");
  const search = document.querySelector("form[data-filters] [type=search]");
  if (event.key === "/" && !typing && search && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape" && at === search) {
    search.value = "";
    applyFilters(search.form);
  } else if (["ArrowDown", "ArrowUp"].includes(event.key) && at.closest("table[data-sortable] tbody") && !typing) {
    const cell = at.closest("td, th"), step = event.key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling";
    let row = cell.parentNode[step];
    while (row && (row.hidden || !focusable(row.cells[cell.cellIndex]))) row = row[step];
    if (!row) return;
    event.preventDefault();
    focusable(row.cells[cell.cellIndex]).focus();
  }
}
const focusable = (cell) => cell && cell.querySelector("a, button, input");

const sortable = [...document.querySelectorAll("table[data-sortable]")];
sortable.forEach(makeSortable);
addEventListener("resize", () => sortable.forEach(forgetWidths));
for (const form of document.querySelectorAll("form[data-filters]")) {
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => applyFilters(form));
  form.addEventListener("reset", () => setTimeout(() => applyFilters(form)));
  readFilters(form);
}
document.addEventListener("keydown", onKey);
