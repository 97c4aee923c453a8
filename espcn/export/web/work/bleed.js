// Colours under transparency, which nobody sees until a picture is resized. As in
// espcn/imaging/alpha.py they bleed outwards from what is visible before anything is interpolated.

const REACH = 8; // pixels that colours bleed outwards
const SIGMA = 1.5; // of the weights with which visible colours count
const BLEED = Array.from(
  { length: 2 * REACH + 1 }, (_, i) => Math.exp(-(((i - REACH) / SIGMA) ** 2) / 2),
);

// Colour the fully transparent pixels that are near visible ones. Bytes of straight RGBA, in place.
function bleed(pixels, width, height) {
  let hidden = 0;
  for (let i = 3; i < pixels.length; i += 4) hidden += pixels[i] === 0;
  if (hidden === 0 || hidden === width * height) return;
  const weighted = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i += 4) {
    const alpha = pixels[i + 3];
    for (let c = 0; c < 3; c++) weighted[i + c] = pixels[i + c] * alpha;
    weighted[i + 3] = alpha;
  }
  const spread = spreadAlong(spreadAlong(weighted, width, height, true), width, height, false);
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i + 3] || !(spread[i + 3] > 0)) continue;
    for (let c = 0; c < 3; c++) pixels[i + c] = Math.round(spread[i + c] / spread[i + 3]);
  }
}

// Convolve by BLEED, downwards or to the side.
function spreadAlong(flow, width, height, down) {
  const result = new Float32Array(flow.length);
  const [count, step] = down ? [height, 4 * width] : [width, 4];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const place = down ? y : x;
      const to = 4 * (y * width + x);
      for (let d = Math.max(-REACH, -place); d <= Math.min(REACH, count - 1 - place); d++) {
        for (let c = 0; c < 4; c++) result[to + c] += BLEED[d + REACH] * flow[to + d * step + c];
      }
    }
  }
  return result;
}
