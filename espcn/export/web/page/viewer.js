// Before and after in one pane, with a divider between them, and zoom.
//
// Both lie in stages as large as the result, which are moved and scaled alike. The divider is the
// thumb of a range input, so that keyboards, screen readers and fingers find what they know.

const CLOSEST = 16; // pixels of the screen for one of the result

class Viewer {
  constructor(pane) {
    const [before, after] = pane.querySelectorAll(".stage");
    Object.assign(this, { pane, before, after, divider: pane.querySelector("input") });
    Object.assign(this, { width: 1, height: 1, scale: 1, x: 0, y: 0, isFitted: true });
    this.touches = new Map();
    this.onzoom = () => {};
    this.divider.addEventListener("input", () => this.divide());
    pane.addEventListener("keydown", (event) => this.key(event));
    pane.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    pane.addEventListener("dblclick", (event) => this.zoom(2, event));
    pane.addEventListener("pointerdown", (event) => this.touch(event));
    pane.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      pane.addEventListener(end, (event) => this.touches.delete(event.pointerId));
    }
    new ResizeObserver(() => this.lay()).observe(pane);
    this.divide();
  }

  // Show two elements, whatever their own size, at the size of the result.
  show(before, after, width, height) {
    this.before.replaceChildren(before);
    this.after.replaceChildren(after);
    Object.assign(this, { width, height });
    this.pane.style.aspectRatio = `${width} / ${height}`;
    this.fit();
  }

  divide() {
    this.pane.style.setProperty("--at", `${this.divider.value}%`);
    this.divider.setAttribute("aria-valuetext", `${this.divider.value} % before`);
  }

  get fitting() {
    const { clientWidth, clientHeight } = this.pane;
    return Math.min(clientWidth / this.width, clientHeight / this.height, 4);
  }

  fit() {
    this.isFitted = true;
    this.lay();
  }

  // Zoom about a point of the screen, or the pane's middle.
  zoom(factor, at) {
    const box = this.pane.getBoundingClientRect();
    const x = (at?.clientX ?? box.x + box.width / 2) - box.x;
    const y = (at?.clientY ?? box.y + box.height / 2) - box.y;
    const least = Math.min(this.fitting, 1);
    const scale = Math.min(Math.max(this.scale * factor, least), CLOSEST);
    this.isFitted = scale === this.fitting;
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.lay();
  }

  pan(x, y) {
    this.x += x;
    this.y += y;
    this.lay();
  }

  lay() {
    const { clientWidth, clientHeight } = this.pane;
    if (this.isFitted) this.scale = this.fitting;
    this.x = within(this.x, clientWidth, this.width * this.scale);
    this.y = within(this.y, clientHeight, this.height * this.scale);
    for (const stage of [this.before, this.after]) {
      stage.style.width = `${this.width}px`;
      stage.style.height = `${this.height}px`;
      stage.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    }
    this.pane.classList.toggle("zoomed", !this.isFitted);
    this.onzoom(this.scale);
  }

  key(event) {
    const step = 40;
    const [x, y] = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step],
      ArrowDown: [0, -step] }[event.key] ?? [0, 0];
    if ((x || y) && event.target === this.pane) this.pan(x, y);
    else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  // A wheel scrolls the page, but with Ctrl, which is also what pinching a touchpad gives, it zooms.
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 200), event);
  }

  touch(event) {
    if (event.target === this.divider || event.button) return;
    this.touches.set(event.pointerId, event);
    this.pane.setPointerCapture(event.pointerId);
  }

  // One finger or the mouse moves the picture, two fingers zoom too.
  move(event) {
    const last = this.touches.get(event.pointerId);
    if (!last) return;
    this.touches.set(event.pointerId, event);
    const count = this.touches.size;
    const other = [...this.touches.values()].find((one) => one.pointerId !== event.pointerId);
    if (other) this.zoom(distance(event, other) / Math.max(distance(last, other), 1), other);
    this.pan((event.clientX - last.clientX) / count, (event.clientY - last.clientY) / count);
  }
}

const distance = (one, other) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);

// Return where something begins so that it fills the room, or lies in its middle if it is smaller.
function within(start, room, size) {
  return size <= room ? (room - size) / 2 : Math.min(Math.max(start, room - size), 0);
}

// Say what a canvas shows to those who don't see it.
function describe(canvas, text) {
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", text);
}
