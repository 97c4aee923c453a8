// Which weights serve a compression best, as espcn/network/strengths.py has it.

const STEP = 1 / 8; // levels are rounded to this

// Return the place on a chain for a codec's number, and in a few words what was found.
function strengthFor({ levels }, r, codec, number) {
  const knots = [...levels[codec][r]].sort((one, other) => one[0] - other[0]);
  const chain = codec === "jpeg" ? "jpeg" : "video";
  if (chain === "video") knots.unshift([0, 0]); // what is not quantised is clean
  const level = Math.round(interpolated(knots, number) / STEP) * STEP;
  return level ? { chain, level } : CLEAN;
}

const CLEAN = { chain: "clean", level: 0 };

const named = ({ chain, level }) => (level ? `weights ${chain} ${level}` : "clean weights");

// Return the quantiser at which H.264 loses about as much as a JPEG of some quality.
const qualityQuantizer = ({ equalLoss }, quality) => interpolated(equalLoss, quality);

// Return the quantiser that H.264 usually has where a video spends so many bits on a pixel. A guess,
// that of espcn/video/compression.py: browsers hide what a video's own headers say.
function bitsQuantizer(bits) {
  return Math.min(Math.max(27 - 6 * Math.log2(bits / 0.06), 0), 51);
}

// Return what a line through points, ascending, has at `x`; beyond its ends, what it has there.
function interpolated(points, x) {
  const above = points.findIndex(([at]) => at >= x);
  if (above === 0) return points[0][1];
  if (above < 0) return points.at(-1)[1];
  const [[x0, y0], [x1, y1]] = [points[above - 1], points[above]];
  return y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
}
