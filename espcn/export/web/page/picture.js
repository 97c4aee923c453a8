// A picture's way through the page: read by a worker, shown as it grows, offered as a PNG.

const SHOWN = 48e6; // pixels of the result that are shown; of a larger one every second is, or fourth

// Upscale a picture. `show` takes two elements and the size of the result, `progress` what part is
// done. Returns when all is done; `signal` ends it before.
async function showPicture(file, job, { show, progress, signal }) {
  const { r } = job.network;
  const before = new Image();
  before.alt = "The original picture";
  before.draggable = false; // or it would be dragged out of the pane instead of moved
  before.src = URL.createObjectURL(file);
  before.onload = before.onerror = () => URL.revokeObjectURL(before.src);
  let context;
  const worker = startWorker(signal);
  try {
    worker.postMessage({ ...job, file });
    for await (const message of worker.messages) {
      if (message.opened) {
        const [width, height] = [r * message.opened.width, r * message.opened.height];
        context = canvasFor(width, height);
        describe(context.canvas, "The upscaled picture");
        show(before, context.canvas, width, height);
      } else if (message.tile) {
        await paint(context, message.tile);
        progress(message.part);
      } else if (message.done) {
        return message.done;
      }
    }
  } finally {
    worker.terminate();
  }
}

// Return the context of a canvas for a result: as large, or a half, a quarter, ... of it, so that
// this browser has one.
function canvasFor(width, height) {
  for (let part = 1; ; part *= 2) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [Math.ceil(width / part), Math.ceil(height / part)];
    const context = canvas.getContext("2d");
    if (canvas.width * canvas.height <= SHOWN && context && holds(context)) {
      context.scale(1 / part, 1 / part);
      context.imageSmoothingQuality = "high";
      return context;
    }
  }
}

// Return whether a canvas can be drawn to: browsers say nothing where one is too large.
function holds(context) {
  const { width, height } = context.canvas;
  context.fillRect(width - 1, height - 1, 1, 1);
  const [, , , alpha] = context.getImageData(width - 1, height - 1, 1, 1).data;
  context.clearRect(0, 0, width, height);
  return alpha > 0;
}

async function paint(context, { pixels, x, y, width, height }) {
  const bitmap = await createImageBitmap(new ImageData(pixels, width, height));
  context.drawImage(bitmap, x, y, width, height);
  bitmap.close();
}
