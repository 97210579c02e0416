"use strict";
// Headings become buttons: a click, Enter or Space sorts. Sections of a table (methods, floors, bounds) stay apart.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "none"
        ? head.classList.contains("number") : head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      for (const body of table.tBodies) {
        const rows = [...body.rows].map((row, place) => ({ row, place, value: key(row.cells[index], head) }));
        rows.sort((a, b) => compare(a.value, b.value, down) || a.place - b.place);
        body.append(...rows.map((entry) => entry.row));
      }
    });
  });
}
// A cell of a column of numbers that has none stays at the end, whichever way is up.
function key(cell, head) {
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  return head.classList.contains("number") ? null : cell.textContent;
}
function compare(a, b, down) {
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  return down ? -order : order;
}
