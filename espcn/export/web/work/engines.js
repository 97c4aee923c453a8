// The engines, from the fastest to the one that runs everywhere.

const ENGINES = { webgpu: WebgpuEngine, webgl2: WebglEngine, plain: PlainEngine };

const nameOf = (engine) => Object.keys(ENGINES).find((name) => ENGINES[name] === engine.constructor);

// Return the first engine that this browser has and that gives what the plain one gives.
async function makeEngine(names, network, canvas) {
  for (const name of names) {
    try {
      const engine = await ENGINES[name].make(network);
      const off = name === "plain" ? 0 : await difference(engine, network);
      if (off > 1) throw new Error(`it is off by ${off} grey levels`);
      return canvas ? await ENGINES[name].make(network, canvas) : engine;
    } catch (error) {
      console.info(`${ENGINES[name].title} is not used: ${error.message}`);
    }
  }
  throw new Error(`this browser has no ${names.map((name) => ENGINES[name].title).join(" or ")}`);
}

// Return by how many grey levels an engine differs from the plain one, at most.
async function difference(engine, network) {
  const { pixels, width, height } = testPicture(31, 22);
  const tile = { pixels, width, height, x: 0, y: 0, w: 27, h: 22 }; // three borders, one neighbour
  const plain = await new PlainEngine(network).run(tile);
  const large = await engine.run(tile);
  return large.reduce((most, value, i) => Math.max(most, Math.abs(value - plain[i])), 0);
}

// Return a picture of middling colours, opaque, that no border and no channel shares with another.
function testPicture(width, height) {
  const pixels = new Uint8Array(4 * width * height).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        pixels[4 * (y * width + x) + c] = 64 + ((7 * x + 13 * y + 29 * c + 5 * ((x * y) % 17)) % 128);
      }
    }
  }
  return { pixels, width, height };
}
