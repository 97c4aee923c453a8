// The network and bicubic interpolation in plain JavaScript: what the other engines are held to.

class PlainEngine {
  static title = "plain JavaScript";
  static TILE = 64; // a side: a third of a second, after which progress is told

  static async make(network) {
    return new PlainEngine(network);
  }

  constructor(network) {
    this.network = network;
    this.cubic = cubicWeights(network.r);
    this.layers = network.layers.map(inFours);
  }

  // Return the rectangle upscaled: bytes of straight RGBA, r w by r h.
  async run(tile) {
    const { x, y, w, h } = tile;
    let flow = lumaPlane(tile, x - HALO, y - HALO, w + 2 * HALO, h + 2 * HALO);
    let [width, height] = [w + 2 * HALO, h + 2 * HALO];
    this.layers.forEach((layer, number) => {
      flow = convolved(flow, width, height, layer);
      [width, height] = [width - layer.size + 1, height - layer.size + 1];
      if (number < 2) activate(flow, this.network.activation);
    });
    return this.composed(tile, flow);
  }

  composed(tile, finer) {
    const { r } = this.network;
    const { outputs } = this.layers[2];
    const { x, y, w, h } = tile;
    const large = new Uint8ClampedArray(4 * r * w * r * h);
    const columns = mirrored(x - 2, w + 4, tile.width);
    const rows = mirrored(y - 2, h + 4, tile.height);
    const line = new Float32Array(4 * (w + 4)); // a row of pixels, interpolated downwards
    for (let row = 0; row < r * h; row++) {
      const [cellY, subY] = [Math.floor(row / r), row % r];
      line.fill(0);
      for (let tap = 0; tap < 5; tap++) {
        const weight = this.cubic[5 * subY + tap];
        const start = rows[cellY + tap] * tile.width;
        for (let i = 0; i < w + 4; i++) {
          const from = 4 * (start + columns[i]);
          for (let c = 0; c < 4; c++) line[4 * i + c] += weight * tile.pixels[from + c];
        }
      }
      for (let column = 0; column < r * w; column++) {
        const [cellX, subX] = [Math.floor(column / r), column % r];
        const rgba = [0, 0, 0, 0];
        for (let tap = 0; tap < 5; tap++) {
          const weight = this.cubic[5 * subX + tap];
          for (let c = 0; c < 4; c++) rgba[c] += weight * line[4 * (cellX + tap) + c];
        }
        const known = LUMA.offset
          + LUMA.weights[0] * rgba[0] + LUMA.weights[1] * rgba[1] + LUMA.weights[2] * rgba[2];
        const level = finer[(cellY * w + cellX) * outputs + subY * r + subX] + CENTER;
        const change = LUMA.gain * (level - known);
        const to = 4 * (row * r * w + column);
        for (let c = 0; c < 3; c++) large[to + c] = rgba[c] + change; // rounded and clamped
        large[to + 3] = rgba[3];
      }
    }
    return large;
  }
}

// Return `count` places from `first` on, mirrored into 0 to size - 1.
function mirrored(first, count, size) {
  return Array.from({ length: count }, (_, i) => {
    const at = first + i;
    const back = at < 0 ? -1 - at : at >= size ? 2 * size - 1 - at : at;
    return Math.min(Math.max(back, 0), size - 1);
  });
}

// Return luma less CENTER, of a rectangle that may reach beyond the tile, whose border is repeated.
function lumaPlane(tile, left, top, width, height) {
  const { weights, offset } = LUMA;
  const plane = new Float32Array(width * height + 1); // see `convolved`
  for (let y = 0; y < height; y++) {
    const row = Math.min(Math.max(top + y, 0), tile.height - 1) * tile.width;
    for (let x = 0; x < width; x++) {
      const at = 4 * (row + Math.min(Math.max(left + x, 0), tile.width - 1));
      plane[y * width + x] = weights[0] * tile.pixels[at] + weights[1] * tile.pixels[at + 1]
        + weights[2] * tile.pixels[at + 2] + offset - CENTER;
    }
  }
  return plane;
}

// Return what a layer makes of `flow`, both with their channels side by side. Two pixels and four
// outputs at a time, which is as much as a processor's registers hold; where the width is odd, the
// second pixel lies beyond the row, and its place is written again by the row that follows.
function convolved(flow, width, height, { inputs, outputs, size, kernel, bias }) {
  const [across, down] = [width - size + 1, height - size + 1];
  const result = new Float32Array((across * down + 1) * outputs);
  const run = size * inputs; // what a row of the kernel sees lies in one piece
  for (let o = 0; o < outputs; o += 4) {
    for (let y = 0; y < down; y++) {
      for (let x = 0; x < across; x += 2) {
        let a = bias[o], b = bias[o + 1], c = bias[o + 2], d = bias[o + 3];
        let e = a, f = b, g = c, h = d;
        let at = o * size * run;
        for (let row = 0; row < size; row++) {
          let from = ((y + row) * width + x) * inputs;
          for (const end = from + run; from < end; from++, at += 4) {
            const one = flow[from], other = flow[from + inputs];
            const p = kernel[at], q = kernel[at + 1], s = kernel[at + 2], t = kernel[at + 3];
            a += one * p; b += one * q; c += one * s; d += one * t;
            e += other * p; f += other * q; g += other * s; h += other * t;
          }
        }
        const to = (y * across + x) * outputs + o;
        result[to] = a; result[to + 1] = b; result[to + 2] = c; result[to + 3] = d;
        const next = to + outputs;
        result[next] = e; result[next + 1] = f; result[next + 2] = g; result[next + 3] = h;
      }
    }
  }
  return result;
}

function activate(flow, activation) {
  for (let i = 0; i < flow.length; i++) {
    flow[i] = activation === "tanh" ? Math.tanh(flow[i]) : Math.max(flow[i], 0);
  }
}
