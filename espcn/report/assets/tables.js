// Sorts tables by a click on a column's head, and hides the rows that a form's filters leave out.
"use strict";
{
  const words = (cell) => (cell.firstElementChild ?? cell).textContent.trim();

  // What a cell is sorted by: a number, text, or null for an empty one.
  const key = (row, column) => {
    const text = row.cells[column].dataset.value ?? words(row.cells[column]);
    return text === "" ? null : text.trim() !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };

  const compare = (one, other) => {
    if (typeof one === "number" && typeof other === "number") return one - other;
    return String(one).localeCompare(String(other), undefined, { numeric: true });
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.addEventListener("click", () => {
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [key(row, column), row]);
      const numbers = rows.some(([value]) => typeof value === "number");
      const before = head.getAttribute("aria-sort");
      // Figures are asked for with the largest first, names from A.
      const down = before ? before === "ascending" : numbers;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      rows.sort(([one], [other]) => {
        if (one === null || other === null) return (one === null) - (other === null);
        return down ? compare(other, one) : compare(one, other);
      });
      body.append(...rows.map(([, row]) => row));
    }));
  }

  for (const form of document.querySelectorAll("form.filters")) {
    const table = document.getElementById(form.dataset.table);
    const rows = [...table.tBodies[0].rows];

    const wanted = (row) => [...form.elements].every((control) => {
      if (control.value === "" || !/INPUT|SELECT/.test(control.tagName)) return true;
      if ("search" in control.dataset) {
        return row.textContent.toLowerCase().includes(control.value.toLowerCase());
      }
      const cell = row.cells[control.dataset.column];
      if (control.tagName === "SELECT") {
        return words(cell) === control.selectedOptions[0].textContent;
      }
      const [value, bound] = [Number(cell.dataset.value), Number(control.value)];
      return control.dataset.bound === "least" ? value >= bound : value <= bound;
    });

    const filter = () => {
      let count = 0;
      for (const row of rows) {
        row.hidden = "left" in row.dataset || !wanted(row);
        count += row.hidden ? 0 : 1;
      }
      form.querySelector("output").textContent = `${count} of ${rows.length}`;
      table.dispatchEvent(new Event("filtered"));
    };

    form.hidden = false;
    for (const kind of ["input", "change"]) form.addEventListener(kind, filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => {
      table.dispatchEvent(new Event("reset"));
      setTimeout(filter); // once the controls are empty
    });
    table.addEventListener("refilter", filter); // `data-left` of a row says that a plot leaves it out
    filter();
  }
}
