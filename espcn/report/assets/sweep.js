// Ties the plots of a sweep to its table: filters hide in both, a click finds a job in both, and
// a stretch of a parallel axis is a filter too.
"use strict";
{
  const table = document.getElementById("table");
  const rows = new Map([...table.tBodies[0].rows].map((row) => [row.dataset.job, row]));
  const marks = [...document.querySelectorAll("svg [data-job]")];
  const joined = [...document.querySelectorAll("svg [data-jobs]")];

  table.addEventListener("filtered", () => {
    for (const mark of marks) mark.classList.toggle("away", rows.get(mark.dataset.job).hidden);
    for (const line of joined) {
      const all = line.dataset.jobs.split(" ");
      line.classList.toggle("away", all.some((job) => rows.get(job).hidden));
    }
  });

  const find = (job) => {
    for (const [number, row] of rows) row.classList.toggle("found", number === job);
    for (const mark of marks) mark.classList.toggle("found", mark.dataset.job === job);
  };
  for (const mark of marks) {
    mark.addEventListener("click", () => {
      find(mark.dataset.job);
      rows.get(mark.dataset.job).scrollIntoView({ block: "center" });
    });
  }
  for (const [job, row] of rows) row.addEventListener("pointerenter", () => find(job));

  const drawing = document.getElementById("parallel");
  if (drawing) {
    const lines = [...drawing.querySelectorAll("polyline")];
    const drawn = new Set(lines.map((line) => line.dataset.job));
    const chosen = new Map(); // by axis, the highest and the lowest place

    const choose = () => {
      const left = (line) => [...chosen].some(([axis, [top, bottom]]) => {
        const place = line.points.getItem(axis).y;
        return place < top || place > bottom;
      });
      for (const line of lines) rows.get(line.dataset.job).toggleAttribute("data-left", left(line));
      for (const [job, row] of rows) {
        if (!drawn.has(job)) row.toggleAttribute("data-left", chosen.size > 0);
      }
      table.dispatchEvent(new Event("refilter"));
    };

    for (const axis of drawing.querySelectorAll(".parallel-axis")) {
      const number = Number(axis.dataset.index);
      const [handle, area] = [axis.querySelector(".handle"), axis.querySelector(".chosen")];
      const place = (event) =>
        new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse()).y;
      const mark = (top, bottom) => {
        area.setAttribute("y", top);
        area.setAttribute("height", bottom - top);
      };
      let start = null;
      handle.addEventListener("pointerdown", (event) => {
        start = place(event);
        handle.setPointerCapture(event.pointerId);
      });
      handle.addEventListener("pointermove", (event) => {
        if (start === null) return;
        const end = place(event);
        mark(Math.min(start, end), Math.max(start, end));
      });
      handle.addEventListener("pointerup", (event) => {
        const end = place(event);
        if (Math.abs(end - start) < 3) {
          chosen.delete(number);
          mark(0, 0);
        } else {
          chosen.set(number, [Math.min(start, end), Math.max(start, end)]);
        }
        start = null;
        choose();
      });
      table.addEventListener("reset", () => mark(0, 0));
    }
    table.addEventListener("reset", () => {
      chosen.clear();
      for (const row of rows.values()) row.removeAttribute("data-left");
    });
  }
}
