// A PNG written strip by strip, of any size: a canvas is limited, and forgets colours under alpha.

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

class PngWriter {
  // `kept` are the channels of RGBA that are written: grey, grey and alpha, RGB, or all.
  constructor(width, height, kept) {
    Object.assign(this, { width, kept, parts: [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10)] });
    const kind = [0, 0, 4, 2, 6][kept.length];
    this.chunk("IHDR", Uint8Array.of(...bytes32(width), ...bytes32(height), 8, kind, 0, 0, 0));
    this.above = new Uint8Array(width * kept.length);
    const deflate = new CompressionStream("deflate");
    this.sink = deflate.writable.getWriter();
    this.packed = this.collect(deflate.readable);
    this.packed.catch(() => {}); // `write` and `close` say it too
  }

  // Write the rows that follow: bytes of RGBA.
  async write(pixels) {
    const { width, kept } = this;
    const [rows, length] = [pixels.length / (4 * width), width * kept.length];
    const filtered = new Uint8Array(rows * (1 + length));
    for (let y = 0; y < rows; y++) {
      const row = new Uint8Array(length);
      for (let i = 0, from = 4 * y * width; i < length; from += 4) {
        for (const channel of kept) row[i++] = pixels[from + channel];
      }
      paeth(row, this.above, kept.length, filtered.subarray(y * (1 + length), (y + 1) * (1 + length)));
      this.above = row;
    }
    await this.sink.write(filtered);
  }

  // Return the whole file.
  async close() {
    await this.sink.close();
    await this.packed;
    this.chunk("IEND", new Uint8Array());
    return new Blob(this.parts, { type: "image/png" });
  }

  async collect(readable) {
    for (const reader = readable.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      this.chunk("IDAT", value);
    }
  }

  chunk(name, content) {
    const named = Uint8Array.of(...[...name].map((letter) => letter.charCodeAt(0)));
    let crc = -1;
    for (const part of [named, content]) {
      for (let i = 0; i < part.length; i++) crc = CRC[(crc ^ part[i]) & 255] ^ (crc >>> 8);
    }
    this.parts.push(Uint8Array.of(...bytes32(content.length)), named, content,
      Uint8Array.of(...bytes32(~crc)));
  }
}

// Write a row as its difference from what the PNG standard's Paeth filter expects of it.
function paeth(row, above, step, filtered) {
  filtered[0] = 4;
  for (let i = 0; i < row.length; i++) {
    const a = i < step ? 0 : row[i - step], b = above[i], c = i < step ? 0 : above[i - step];
    const pa = Math.abs(b - c), pb = Math.abs(a - c), pc = Math.abs(a + b - 2 * c);
    filtered[i + 1] = row[i] - (pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
  }
}

function bytes32(n) {
  return [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
}
