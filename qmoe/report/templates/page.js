"use strict";
// Sorting and filtering of tables. Without this script the page reads the same.
(() => {
  const NUMBER = /^[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?(e[+-]?\d+)?\s*%?\*?$/;

  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

  // What a cell says: a number if it can, else its text; null if it is a gap, a span or not there.
  const said = (cell) => {
    if (!cell || cell.colSpan > 1) return null;
    const value = cell.dataset.value;
    if (value !== undefined) return value === "" || isNaN(value) ? null : Number(value);
    const text = cell.textContent.trim();
    if (text === "" || text === "–") return null;
    // a value without its interval; the page writes a true minus and thousands with commas
    const own = [...cell.childNodes].map((node) => (node.nodeType === 3 ? node.data : ""));
    const plain = own.join("").trim().replaceAll("−", "-");
    const numeric = cell.tagName === "TD" && NUMBER.test(plain);
    return numeric ? parseFloat(plain.replaceAll(",", "")) : text;
  };

  // A group's heading stays at its top, as does the baseline.
  const heading = (row) => row.querySelector("th[scope=rowgroup]") !== null;
  const fixed = (row) => row.hasAttribute("data-fixed") || heading(row);

  const sort = (table, column, direction) => {
    const bodies = [...table.tBodies];
    const all = bodies.flatMap((body) => [...body.rows]);
    const keys = new Map(all.map((row) => [row, said(row.cells[column])]));
    // among numbers, words are no values
    const kind = [...keys.values()].some((key) => typeof key === "number") ? "number" : "string";
    const missing = (row) => typeof keys.get(row) !== kind;
    const compare = (a, b) =>
      kind === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
    for (const body of bodies) {
      const rows = [...body.rows];
      const free = rows.filter((row) => !fixed(row));
      const known = free.filter((row) => !missing(row));
      known.sort((a, b) => direction * compare(keys.get(a), keys.get(b)));
      body.append(...rows.filter(fixed), ...known, ...free.filter(missing));
    }
  };

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const cells = [...table.tHead.rows[0].cells];
    cells.forEach((head, column) => {
      if (head.querySelector("svg") || head.textContent.trim() === "") return;
      const button = make("button", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down ? -1 : 1);
      });
    });
  }

  for (const table of document.querySelectorAll("table[data-filter]")) {
    const bodies = [...table.tBodies].map((body) => [...body.rows]);
    const rows = bodies.flat().filter((row) => !heading(row));
    if (rows.length <= 8) continue;
    const box = make("div", { className: "filter" });
    const label = make("label", { textContent: "Filter rows " });
    const input = make("input", { type: "search", autocomplete: "off" });
    const told = make("span", {});
    told.setAttribute("aria-live", "polite");
    label.append(input);
    box.append(label, told);
    (table.closest(".scroll") ?? table).before(box);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      }
      for (const body of bodies) {
        const open = body.some((row) => !heading(row) && !row.hidden);
        for (const row of body.filter(heading)) row.hidden = !open;
      }
      const shown = rows.filter((row) => !row.hidden).length;
      told.textContent = words.length ? ` ${shown} of ${rows.length} rows` : "";
    });
  }
})();
