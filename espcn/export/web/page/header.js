// What the first bytes of a picture say: its size, whether it is grey, a JPEG's quality.

const ZIGZAG = [
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,
  6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45,
  38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];
const HEADER = 1 << 20; // bytes in which a JPEG's frame begins, behind its profiles and previews

// Return `width`, `height`, `isGrey` and a JPEG's `table`; nothing of what is neither JPEG nor PNG.
async function readHeader(file) {
  const view = new DataView(await file.slice(0, HEADER).arrayBuffer());
  try {
    if (view.getUint16(0) === 0xffd8) return jpegHeader(view);
    if (view.getUint32(0) !== 0x89504e47) return {};
    const kind = view.getUint8(25);
    return { width: view.getUint32(16), height: view.getUint32(20), isGrey: !(kind & 2) };
  } catch (error) {
    if (error instanceof RangeError) return {}; // cut off: reading the picture says it better
    throw error;
  }
}

function jpegHeader(view) {
  const tables = {};
  for (let at = 2; ; ) {
    const marker = view.getUint16(at);
    const end = at + 2 + view.getUint16(at + 2);
    if (marker === 0xffdb) readTables(view, at + 4, end, tables);
    if (marker >= 0xffc0 && marker <= 0xffc2) {
      const [height, width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
      const isGrey = view.getUint8(at + 9) === 1;
      return { width, height, isGrey, table: tables[view.getUint8(at + 12)] };
    }
    at = end;
  }
}

// Read quantisation tables, each 64 steps in the order of a zigzag, into rows.
function readTables(view, at, end, tables) {
  while (at < end) {
    const [deep, number] = [view.getUint8(at) >> 4, view.getUint8(at) & 15];
    at += 1;
    tables[number] = new Array(64);
    for (const place of ZIGZAG) {
      tables[number][place] = deep ? view.getUint16(at) : view.getUint8(at);
      at += deep ? 2 : 1;
    }
  }
}

// Return the quality, 1 to 100, at which libjpeg's table loses as much as this one.
function tableQuality({ jpeg }, table) {
  const standard = (quality) => jpeg.luma.map((step) => {
    const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
    return Math.min(Math.max(Math.floor((step * scale + 50) / 100), 1), 255);
  });
  const points = Array.from(
    { length: 100 }, (_, i) => [-tableLoss(jpeg, standard(i + 1)), i + 1],
  );
  return interpolated(points, -tableLoss(jpeg, table));
}

// Return the mean squared error that a table makes of natural pictures, in dB.
function tableLoss({ lowest, fall }, table) {
  const lost = table.map((step, i) => {
    const frequency = Math.max(Math.hypot(i >> 3, i & 7), 0.5);
    const power = (lowest / frequency ** fall) ** 2;
    return -power * Math.expm1(-(Math.max(step, 1) ** 2) / (12 * power));
  });
  return 10 * Math.log10(lost.reduce((sum, one) => sum + one, 0));
}
