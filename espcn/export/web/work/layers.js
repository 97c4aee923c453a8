// What all engines share: tiles, luma, and the layers' weights in the order that they want.
//
// A tile is a detail of a picture: `pixels` are its bytes, straight RGBA, row by row, `width` by
// `height`; of these the rectangle `x`, `y`, `w`, `h` is upscaled. What lies around it is context,
// HALO pixels except at the picture's own borders. There the network sees the border's pixels
// repeated, and bicubic interpolation sees them mirrored, as MATLAB's does.
//
// A network is `r`, `activation` and three `layers`, each with `inputs`, `outputs`, `size`, and its
// `weights` (output, input, row, column) and `bias`.

const HALO = 4; // low-resolution pixels that the network looks at beyond its own
const CENTER = 115; // the network maps grey levels less this to grey levels less this

// How luma is made of red, green and blue, in grey levels, and how much of its change each of them
// takes: BT.601's of studio range. Of a grey picture all three are the same.
const LUMA = { weights: [65.481 / 255, 128.553 / 255, 24.966 / 255], offset: 16, gain: 255 / 219 };

// Return the rectangles of at most `side` by `side` that a picture is divided into, row by row.
function tiles(width, height, side) {
  const found = [];
  for (let y = 0; y < height; y += side) {
    for (let x = 0; x < width; x += side) {
      found.push({ x, y, w: Math.min(side, width - x), h: Math.min(side, height - y) });
    }
  }
  return found;
}

// Return the weights of Keys' cubic for five neighbours, at each of the r places: r rows of five.
function cubicWeights(r) {
  const weights = new Float32Array(5 * r);
  for (let place = 0; place < r; place++) {
    for (let tap = 0; tap < 5; tap++) {
      const d = Math.abs((place + 0.5) / r - 0.5 - (tap - 2));
      if (d < 1) weights[5 * place + tap] = 1.5 * d ** 3 - 2.5 * d ** 2 + 1;
      else if (d < 2) weights[5 * place + tap] = -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2;
    }
  }
  return weights;
}

// Return a layer's weights as (output / 4; row, column and channel of the input; output mod 4), and
// its biases, both with zeros up to a whole number of fours.
function inFours({ inputs, outputs, size, weights, bias }) {
  const count = 4 * Math.ceil(outputs / 4);
  const kernel = new Float32Array(count * inputs * size * size);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let k = 0; k < size * size; k++) {
        const at = (o >> 2) * size * size * inputs + k * inputs + i;
        kernel[4 * at + (o & 3)] = weights[(o * inputs + i) * size * size + k];
      }
    }
  }
  const biases = new Float32Array(count);
  biases.set(bias);
  return { inputs, outputs: count, size, kernel, bias: biases };
}

// Return the weights of `count` fours of outputs from `first` on, side by side for each input that
// a shader multiplies at a time: a vector for one, a matrix for four.
function sideBySide({ inputs, outputs, kernel }, first, count) {
  const length = kernel.length / (outputs / 4);
  const step = inputs === 1 ? 4 : 16;
  const block = new Float32Array(count * length);
  for (let k = 0; k < length / step; k++) {
    for (let g = 0; g < count; g++) {
      const from = (first + g) * length + k * step;
      block.set(kernel.subarray(from, from + step), (k * count + g) * step);
    }
  }
  return block;
}

// Return the lines of a shader that differ by a number from 0 on.
const each = (count, line) => Array.from({ length: count }, (_, i) => line(i)).join("\n");
