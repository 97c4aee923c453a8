// The networks that this page carries, one for each factor and strength, as half floats; of each link
// of a chain there is what it adds to the link before, in the order of the half floats. High bytes
// precede low ones, and all are deflated.

const SHAPES = (r) => [[1, 64, 5], [64, 32, 3], [32, r * r, 3]]; // inputs, outputs, size

// Return a network's weights, float32, by factor and name: `clean`, `jpeg1` and so on.
async function readNetworks({ factors, weights }) {
  const packed = Uint8Array.from(atob(weights), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = bytes.length / 2;
  const added = Uint16Array.from({ length: count }, (_, i) => (bytes[i] << 8) | bytes[count + i]);
  const networks = {};
  let from = 0;
  for (const [r, names] of Object.entries(factors)) {
    const length = SHAPES(r).reduce((sum, [i, o, size]) => sum + (i * size * size + 1) * o, 0);
    const halves = {};
    for (const name of names) {
      halves[name] = added.slice(from, (from += length));
      if (name !== "clean") halves[before(name)].forEach((half, i) => (halves[name][i] += half));
    }
    networks[r] = Object.fromEntries(
      names.map((name) => [name, Float32Array.from(halves[name], halfFloat)]),
    );
  }
  return networks;
}

// Return the name of the link before: `jpeg1` is before `jpeg2`, and `clean` before that.
function before(name) {
  const [, chain, number] = name.match(/^(\D+)(\d+)$/);
  return number > 1 ? `${chain}${number - 1}` : "clean";
}

function halfFloat(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024);
  return bits & 0x8000 ? -size : size;
}

// Return the network of a factor at a place on a chain; between two links, their weights mixed.
function networkAt(networks, r, { chain, level }, activation) {
  const link = (number) => networks[r][number ? `${chain}${number}` : "clean"];
  const [below, part] = [Math.floor(level), level % 1];
  const weights = Float32Array.from(link(below));
  if (part) link(below + 1).forEach((other, i) => (weights[i] += part * (other - weights[i])));
  let from = 0;
  const take = (count) => weights.slice(from, (from += count));
  const layers = SHAPES(r).map(([inputs, outputs, size]) => ({
    inputs, outputs, size, weights: take(inputs * outputs * size * size), bias: take(outputs),
  }));
  return { r: Number(r), activation, layers };
}
