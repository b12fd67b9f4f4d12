// The table of scores: sorted by its headers, filtered by model and family.

const board = document.getElementById("board");

function valueOf(row, column) {
  if (column < 0) return row.dataset.order;
  const cell = row.querySelector(`[data-column="${column}"]`);
  return cell && cell.dataset.value !== undefined ? Number(cell.dataset.value) : null;
}

/** Rows without a score stay last, whichever way the others go. */
function compare(one, other, column, direction) {
  const [a, b] = [valueOf(one, column), valueOf(other, column)];
  if (a === null || b === null) return (a === null) - (b === null);
  return direction * (column < 0 ? Number(a) - Number(b) : a - b);
}

function sort(header) {
  const column = Number(header.dataset.sort);
  const first = column < 0 ? "ascending" : "descending";
  const other = column < 0 ? "descending" : "ascending";
  const next = header.getAttribute("aria-sort") === first ? other : first;
  for (const each of board.querySelectorAll("[aria-sort]")) each.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", next);
  for (const body of board.tBodies) {
    const rows = [...body.rows].sort((a, b) => compare(a, b, column, next === "ascending" ? 1 : -1));
    body.append(...rows);
  }
  tell(`Sorted by ${header.dataset.title}, ${next}`);
}

function tell(text) {
  document.getElementById("told").textContent = text;
}

function filterRows() {
  const wanted = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const published = document.getElementById("published");
  let shown = 0;
  for (const row of document.querySelectorAll("#board tbody tr, #contamination [data-name]")) {
    const name = row.dataset.name.toLowerCase();
    row.hidden = !wanted.every((word) => name.includes(word)) || (row.dataset.kind === "published" && published && !published.checked);
    shown += !row.hidden && board.contains(row);
  }
  document.getElementById("nothing").hidden = shown > 0;
  tell(`${shown} models`);
}

function filterFamilies() {
  const boxes = [...document.querySelectorAll("input[name=family]")];
  const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  for (const part of document.querySelectorAll("[data-family]")) part.hidden = !wanted.has(part.dataset.family);
  for (const section of document.querySelectorAll("section[data-sheet-family]")) {
    section.hidden = !wanted.has(section.dataset.sheetFamily);
  }
}

function startTable() {
  for (const header of board.querySelectorAll("[data-sort]")) {
    header.querySelector("button").addEventListener("click", () => sort(header));
  }
  document.getElementById("filter").addEventListener("input", filterRows);
  document.getElementById("published")?.addEventListener("change", filterRows);
  for (const box of document.querySelectorAll("input[name=family]")) box.addEventListener("change", filterFamilies);
  for (const control of document.querySelectorAll(".needs-script")) control.hidden = false;
}
