// The worker's part: upscales a picture or, one after another, a video's frames. It never touches
// the page, which therefore never freezes.

const MOST = 400e6; // pixels of a result: what one tab may be trusted with
const STRIP = 64e6; // bytes of the result that are held before they are compressed

// What is wrong with a picture, in a sentence for the visitor.
class Refusal extends Error {}

// Upscale a picture file, tile by tile, into a PNG file.
async function upscalePicture({ file, network, isGrey, engines }) {
  const began = performance.now();
  const source = await opened(file, network.r);
  const { width, height } = source;
  const isTransparent = file.type !== "image/jpeg" && (await hasAlpha(source));
  postMessage({ opened: { width, height } });
  for (let left = engines; ; left = left.slice(1)) {
    const engine = await makeEngine(left, network);
    left = left.slice(left.indexOf(nameOf(engine)));
    try {
      const blob = await upscaled(source, engine, isGrey, isTransparent);
      const seconds = (performance.now() - began) / 1000;
      postMessage({ done: { blob, seconds, engine: engine.constructor.title } });
      return;
    } catch (error) {
      if (left.length === 1) throw error;
      console.info(`${engine.constructor.title} gave up: ${error.message}`);
    }
  }
}

async function opened(file, r) {
  let source;
  try {
    source = await Source.open(file);
  } catch {
    throw new Refusal(`“${file.name}” is not a picture that this browser can read.`);
  }
  const count = r * r * source.width * source.height;
  if (count > MOST) throw new Refusal(tooLarge(file.name, r, source));
  return source;
}

function tooLarge(name, r, { width, height }) {
  const megapixels = Math.ceil((r * r * width * height) / 1e6);
  return `“${name}” would become ${r * width} × ${r * height} pixels (${megapixels} megapixels), but `
    + `this page writes at most ${MOST / 1e6} megapixels: choose a smaller factor, or use `
    + "espcn-upscale, which has no limit.";
}

async function hasAlpha(source) {
  for (let top = 0; top < source.height; top += 512) {
    const pixels = await source.rows(top, Math.min(top + 512, source.height));
    for (let i = 3; i < pixels.length; i += 4) if (pixels[i] < 255) return true;
  }
  return false;
}

async function upscaled(source, engine, isGrey, isTransparent) {
  const { width, height } = source;
  const { r } = engine.network;
  const side = Math.min(engine.constructor.TILE, Math.max(8, Math.floor(STRIP / (4 * r * r * width))));
  const colors = isGrey ? [0] : [0, 1, 2];
  const png = new PngWriter(r * width, r * height, isTransparent ? [...colors, 3] : colors);
  for (let top = 0; top < height; top += side) {
    const h = Math.min(side, height - top);
    const held = await context(source, top, top + h, isTransparent);
    const strip = new Uint8Array(4 * r * width * r * h);
    for (let left = 0; left < width; left += side) {
      const w = Math.min(side, width - left);
      const tile = { ...columns(held, width, left, left + w), y: held.above, w, h };
      const large = await engine.run(tile);
      for (let y = 0; y < r * h; y++) {
        strip.set(large.subarray(4 * r * w * y, 4 * r * w * (y + 1)), 4 * r * (width * y + left));
      }
      const part = (top + h * ((left + w) / width)) / height;
      const place = { x: r * left, y: r * top, width: r * w, height: r * h };
      postMessage({ tile: { pixels: large, ...place }, part }, [large.buffer]);
    }
    await png.write(strip);
  }
  return png.close();
}

// Return rows with what the network sees above and below them.
async function context(source, top, bottom, isTransparent) {
  const reach = HALO + (isTransparent ? REACH : 0);
  const first = Math.max(0, top - reach);
  const last = Math.min(source.height, bottom + reach);
  const pixels = await source.rows(first, last);
  if (isTransparent) bleed(pixels, source.width, last - first);
  return { pixels, height: last - first, above: top - first };
}

// Return the detail of a strip that is the context of some of its columns, and where these begin.
function columns({ pixels, height }, width, left, right) {
  const first = Math.max(0, left - HALO);
  const last = Math.min(width, right + HALO);
  const detail = new Uint8Array(4 * (last - first) * height);
  for (let y = 0; y < height; y++) {
    const row = 4 * y * width;
    detail.set(pixels.subarray(row + 4 * first, row + 4 * last), 4 * y * (last - first));
  }
  return { pixels: detail, width: last - first, height, x: left - first };
}

let video; // the engine that shows its frames

async function openVideo({ canvas, network, engines, size }) {
  const onGpu = engines.filter((name) => name !== "plain");
  try {
    video = await makeEngine(onGpu, network, canvas);
  } catch {
    throw new Refusal("Upscaling videos needs WebGPU or WebGL2, and this browser supports neither.");
  }
  const [width, height] = size.map((side) => network.r * side);
  if (Math.max(width, height) > video.widest) {
    throw new Refusal(`Its frames would become ${width} × ${height} pixels, but this device draws `
      + `at most ${video.widest} pixels per side: choose a smaller factor.`);
  }
  postMessage({ ready: video.constructor.title });
}

async function showFrame(frame) {
  await video.show(frame);
  frame.close();
  postMessage({ shown: true });
}

// The page evaluates this script too, for `check.js`, but there it listens to nothing.
if (typeof WorkerGlobalScope !== "undefined") {
  self.onmessage = async ({ data }) => {
    try {
      if (data.file) await upscalePicture(data);
      else if (data.canvas) await openVideo(data);
      else await showFrame(data.frame);
    } catch (error) {
      const failed = error instanceof Refusal ? error.message : `An error occurred: ${error.message}.`;
      const engine = data.frame && nameOf(video); // without which it may go
      postMessage({ failed, engine });
    }
  };
}
