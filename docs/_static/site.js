// What Sphinx and the theme leave out for small screens, and for readers with a keyboard or a screen reader.

// What scrolls can be scrolled with the arrow keys.
function reachable() {
  for (const box of document.querySelectorAll(".drawing, .table-wrapper, .highlight pre, dt.sig")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

// Long names in tables break where their parts end.
function breakable() {
  for (const word of document.querySelectorAll("td code .pre")) {
    const parts = word.textContent.split(/(?<=[.,(=_/-])(?!\))/);
    if (word.textContent.length > 24) word.replaceChildren(...parts.flatMap((part) => [part, document.createElement("wbr")]));
  }
}

// On a phone, the cells of a row stand below each other (site.css), each with the heading of its column. Roles keep what
// a screen reader says of them, since a browser takes what is not laid out as a table for no table.
function stackable() {
  for (const table of document.querySelectorAll("table.docutils")) {
    const names = [...table.tHead?.rows[0].cells ?? []].map((cell) => cell.textContent);
    if (names.length !== 3) continue;
    table.classList.add("stackable");
    table.role = "table";
    for (const part of [table.tHead, ...table.tBodies]) part.role = "rowgroup";
    for (const row of table.rows) {
      row.role = "row";
      for (const [column, cell] of [...row.cells].entries()) {
        cell.role = cell.tagName === "TH" ? "columnheader" : "cell";
        cell.dataset.column = names[column];
      }
    }
  }
}

function named() {
  for (const [drawer, name] of [[".sidebar-drawer", "Pages"], [".toc-drawer", "On this page"]]) {
    document.querySelector(drawer)?.setAttribute("aria-label", name);
  }
  // The arguments of a signature over several lines are descriptions without a term.
  for (const list of document.querySelectorAll("dt.sig > dl")) list.role = "none";
}

addEventListener("DOMContentLoaded", () => {
  named();
  breakable();
  stackable();
  reachable();
  new ResizeObserver(reachable).observe(document.documentElement);
});
