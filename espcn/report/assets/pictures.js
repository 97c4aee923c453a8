// What the sliders show: any two versions of a picture, or the errors of both, at any size.
"use strict";
{
  const form = document.getElementById("view");
  const cards = [...document.querySelectorAll(".card")];

  const show = () => {
    const errors = form.elements.error.checked;
    document.body.classList.toggle("errors", errors);
    form.querySelector(".scale").hidden = !errors;
    const zoom = Number(form.elements.zoom.value);
    document.body.classList.toggle("zoomed", zoom > 1);
    document.body.style.setProperty("--zoom", zoom);
    const sides = ["left", "right"].map((side) => form.querySelector(`[name=${side}]:checked`));
    const labels = sides.map((side) => side.dataset.label);
    for (const card of cards) {
      card.querySelectorAll(".view").forEach((view, index) => {
        const kind = sides[index].value;
        const [shown, original] = view.querySelectorAll("img");
        view.dataset.label = errors ? `${labels[index]}, error` : labels[index];
        set(shown, card, kind, labels[index]);
        if (errors && !original) {
          const below = shown.cloneNode();
          set(below, card, "original", "");
          below.className = "original-below";
          view.querySelector(".pixels").append(below);
        } else if (!errors && original) {
          original.remove();
        }
      });
      const name = card.querySelector("strong").textContent;
      const [left, right] = labels;
      card.querySelector(".divider").setAttribute(
        "aria-label", `${name}: divider between ${left} on the left and ${right} on the right`,
      );
    }
  };

  const set = (image, card, kind, label) => {
    const address = `${card.dataset.base}_${kind}.png`;
    if (image.getAttribute("src") !== address) image.src = address;
    image.alt = label;
    image.classList.toggle("low", kind === "low");
  };

  // A link to a picture in a part that is closed opens it.
  const open = () => {
    const card = document.getElementById(location.hash.slice(1));
    const part = card?.closest("details");
    if (part && !part.open) {
      part.open = true;
      card.scrollIntoView();
    }
  };

  for (const divider of document.querySelectorAll(".divider")) {
    const divide = () => divider.parentNode.style.setProperty("--at", `${divider.value}%`);
    divider.addEventListener("input", divide);
    divide(); // a browser may have kept where it was
  }
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", open);
  open();
  show(); // a browser may have kept what was chosen before
}
