// The network by WebGL2. Channels lie four to a texel, in the layers of an array texture; hidden
// ones as half floats, which every GPU that renders to floats at all can render to.

const ACTIVATIONS = {
  tanh: "tanh(clamp(sum, -9.0, 9.0))", // some drivers' tanh overflows far out
  relu: "max(sum, 0.0)",
};

const VERTEX = `#version 300 es
void main() { // a triangle that covers everything
  gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1);
}`;

const HEAD = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp sampler2DArray;
uniform sampler2D source; // bytes of the tile
uniform sampler2DArray flow; // what the layer before has made
uniform ivec2 origin; // of the rectangle that is upscaled, in the source
uniform vec4 luma; // the weights of red, green and blue, and the offset less ${CENTER}
`;

// Four outputs for each of `groups` targets. The first layer sees luma, the others all channels.
function layerShader({ inputs, size }, groups, activation) {
  const first = inputs === 1;
  const kind = first ? "vec4" : "mat4";
  const taps = first ? size * size : (inputs / 4) * size * size;
  const value = first
    ? "dot(luma, vec4(255.0 * texelFetch(source, clamp(at + ivec2(x, y) + origin - 4, "
      + "ivec2(0), textureSize(source, 0) - 1), 0).rgb, 1.0))"
    : "texelFetch(flow, ivec3(at + ivec2(x, y), i), 0)";
  return `${HEAD}
layout(std140) uniform Layer { vec4 bias[${groups}]; ${kind} kernel[${groups * taps}]; };
${each(groups, (g) => `layout(location = ${g}) out vec4 target${g};`)}
vec4 activated(vec4 sum) { return ${activation ? ACTIVATIONS[activation] : "sum"}; }
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  ${each(groups, (g) => `vec4 sum${g} = bias[${g}];`)}
  int k = 0;
  for (int y = 0; y < ${size}; y++)
    for (int x = 0; x < ${size}; x++)
      for (int i = 0; i < ${first ? 1 : inputs / 4}; i++, k += ${groups}) {
        ${first ? "float" : "vec4"} value = ${value};
        ${each(groups, (g) => `sum${g} += kernel[k + ${g}] * value;`)}
      }
  ${each(groups, (g) => `target${g} = activated(sum${g});`)}
}`;
}

// A pixel of the result: bicubic RGBA, and the network's luma in place of the bicubic one.
const composeShader = (r) => `${HEAD}
uniform float cubic[${5 * r}];
uniform float gain; // of each colour where luma changes
uniform ivec2 corner; // where the result begins in what is drawn to
uniform int bottom; // the last row of a canvas, whose first is at the bottom; -1 for a texture
out vec4 pixel;
int mirrored(int at, int size) {
  return clamp(at < 0 ? -1 - at : at >= size ? 2 * size - 1 - at : at, 0, size - 1);
}
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  at = (bottom < 0 ? at : ivec2(at.x, bottom - at.y)) - corner;
  ivec2 cell = at / ${r}, sub = at % ${r}, size = textureSize(source, 0);
  vec4 rgba = vec4(0);
  for (int y = 0; y < 5; y++) {
    vec4 line = vec4(0);
    int row = mirrored(origin.y + cell.y + y - 2, size.y);
    for (int x = 0; x < 5; x++) {
      int column = mirrored(origin.x + cell.x + x - 2, size.x);
      line += cubic[5 * sub.x + x] * texelFetch(source, ivec2(column, row), 0);
    }
    rgba += cubic[5 * sub.y + y] * line;
  }
  rgba *= 255.0;
  int channel = sub.y * ${r} + sub.x;
  float level = texelFetch(flow, ivec3(cell, channel / 4), 0)[channel % 4];
  rgba.rgb += gain * (level - dot(luma, vec4(rgba.rgb, 1.0)));
  pixel = floor(clamp(rgba, 0.0, 255.0) + 0.5) / 255.0;
}`;

class WebglEngine {
  static title = "WebGL2";
  static TILE = 256; // a side: enough to keep a GPU busy, not so much that a screen stutters

  static async make(network, canvas) {
    return new WebglEngine(network, canvas);
  }

  // Without a canvas of the page's it draws to none that is seen.
  constructor(network, canvas = new OffscreenCanvas(1, 1)) {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
    if (!gl) throw new Error("no WebGL2");
    if (!gl.getExtension("EXT_color_buffer_float")
      && !gl.getExtension("EXT_color_buffer_half_float")) throw new Error("no floating-point textures");
    Object.assign(this, { gl, canvas, network, r: network.r, textures: [] });
    this.widest = gl.getParameter(gl.MAX_TEXTURE_SIZE); // pixels of a frame's longer side
    this.source = this.texture(gl.TEXTURE_2D);
    this.compose = this.program(composeShader(this.r));
    gl.uniform1fv(gl.getUniformLocation(this.compose, "cubic"), cubicWeights(this.r));
    this.layers = network.layers.map((layer, i) => this.layer(inFours(layer), i));
    this.large = this.texture(gl.TEXTURE_2D);
    this.frame = gl.createFramebuffer();
  }

  // Return the rectangle upscaled: bytes of straight RGBA, r w by r h.
  async run(tile) {
    const { gl, r } = this;
    const [width, height] = [r * tile.w, r * tile.h];
    gl.bindTexture(gl.TEXTURE_2D, this.source);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, tile.width, tile.height, 0, gl.RGBA,
      gl.UNSIGNED_BYTE, tile.pixels);
    this.convolve(tile);
    gl.bindTexture(gl.TEXTURE_2D, this.large);
    if (width !== this.width || height !== this.height) {
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
      Object.assign(this, { width, height });
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.large, 0);
    this.draw(tile, 0, 0, -1);
    return readBack(gl, width, height);
  }

  // Upscale a frame of a video to the canvas, and wait for it.
  async show(frame) {
    const { gl, r, canvas } = this;
    const { width, height } = frame;
    if (canvas.width !== r * width || canvas.height !== r * height) {
      Object.assign(canvas, { width: r * width, height: r * height });
    }
    gl.bindTexture(gl.TEXTURE_2D, this.source);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, frame);
    for (const { x, y, w, h } of tiles(width, height, WebglEngine.TILE)) {
      this.convolve({ x, y, w, h });
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      this.draw({ x, y, w, h }, r * x, r * y, canvas.height - 1);
    }
    await gpuDone(gl);
  }

  // Run the layers on the tile in the source texture.
  convolve(tile) {
    const { gl } = this;
    let [width, height] = [tile.w + 2 * HALO, tile.h + 2 * HALO];
    let flow = null;
    for (const layer of this.layers) {
      [width, height] = [width - layer.size + 1, height - layer.size + 1];
      this.resize(layer, width, height);
      for (const { program, weights, frame } of layer.passes) {
        this.use(program, tile, flow);
        gl.bindBufferBase(gl.UNIFORM_BUFFER, 0, weights);
        gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
        gl.viewport(0, 0, width, height);
        gl.drawArrays(gl.TRIANGLES, 0, 3);
      }
      flow = layer.result;
    }
    this.flow = flow;
  }

  draw(tile, left, top, bottom) {
    const { gl, r, compose } = this;
    const [width, height] = [r * tile.w, r * tile.h];
    this.use(compose, tile, this.flow);
    gl.uniform1f(gl.getUniformLocation(compose, "gain"), LUMA.gain);
    gl.uniform2i(gl.getUniformLocation(compose, "corner"), left, top);
    gl.uniform1i(gl.getUniformLocation(compose, "bottom"), bottom);
    gl.viewport(left, bottom < 0 ? top : bottom + 1 - top - height, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  use(program, tile, flow) {
    const { gl } = this;
    gl.useProgram(program);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, flow);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.source);
    gl.uniform1i(gl.getUniformLocation(program, "source"), 0);
    gl.uniform1i(gl.getUniformLocation(program, "flow"), 1);
    gl.uniform2i(gl.getUniformLocation(program, "origin"), tile.x, tile.y);
    gl.uniform4f(gl.getUniformLocation(program, "luma"), ...LUMA.weights, LUMA.offset - CENTER);
  }

  // Divide a layer into passes of as many outputs as the GPU takes at a time.
  layer(layer, number) {
    const { gl } = this;
    const { outputs, kernel, bias } = layer;
    const length = kernel.length / (outputs / 4); // numbers for four outputs
    const room = gl.getParameter(gl.MAX_UNIFORM_BLOCK_SIZE) / 4;
    const targets = gl.getParameter(gl.MAX_DRAW_BUFFERS);
    const most = Math.min(4, targets, Math.floor(room / (length + 4)));
    const activation = number < 2 ? this.network.activation : "";
    const passes = [];
    for (let first = 0; first < outputs / 4; first += most) {
      const groups = Math.min(most, outputs / 4 - first);
      const program = this.program(layerShader(layer, groups, activation));
      gl.uniformBlockBinding(program, gl.getUniformBlockIndex(program, "Layer"), 0);
      const block = new Float32Array(groups * (4 + length));
      block.set(bias.subarray(4 * first, 4 * (first + groups)));
      block.set(sideBySide(layer, first, groups), 4 * groups);
      const weights = gl.createBuffer();
      gl.bindBuffer(gl.UNIFORM_BUFFER, weights);
      gl.bufferData(gl.UNIFORM_BUFFER, block, gl.STATIC_DRAW);
      passes.push({ program, weights, groups, first, frame: gl.createFramebuffer() });
    }
    return { ...layer, passes, result: this.texture(gl.TEXTURE_2D_ARRAY) };
  }

  // Make a layer's texture as large as what is to be drawn to it.
  resize(layer, width, height) {
    const { gl } = this;
    if (layer.width === width && layer.height === height) return;
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, layer.result);
    gl.texImage3D(gl.TEXTURE_2D_ARRAY, 0, gl.RGBA16F, width, height, layer.outputs / 4, 0, gl.RGBA,
      gl.HALF_FLOAT, null);
    for (const { frame, groups, first } of layer.passes) {
      gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
      const targets = Array.from({ length: groups }, (_, g) => gl.COLOR_ATTACHMENT0 + g);
      targets.forEach((target, g) => {
        gl.framebufferTextureLayer(gl.FRAMEBUFFER, target, layer.result, 0, first + g);
      });
      gl.drawBuffers(targets);
      if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) {
        throw new Error("the GPU cannot draw to half-float textures");
      }
    }
    Object.assign(layer, { width, height });
  }

  texture(kind) {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.bindTexture(kind, texture);
    gl.texParameteri(kind, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(kind, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    return texture;
  }

  program(fragment) {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
      throw new Error(`the GPU's compiler: ${gl.getProgramInfoLog(program)}`);
    }
    gl.useProgram(program);
    return program;
  }
}

// Return the bytes of rows of the framebuffer once the GPU has drawn them, without holding it up.
async function readBack(gl, width, height, top = 0) {
  const bytes = new Uint8ClampedArray(4 * width * height);
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.PIXEL_PACK_BUFFER, buffer);
  gl.bufferData(gl.PIXEL_PACK_BUFFER, bytes.length, gl.STREAM_READ);
  gl.readPixels(0, top, width, height, gl.RGBA, gl.UNSIGNED_BYTE, 0);
  await gpuDone(gl);
  gl.getBufferSubData(gl.PIXEL_PACK_BUFFER, 0, bytes);
  gl.deleteBuffer(buffer);
  return bytes;
}

// Wait until the GPU has done all that was asked of it.
async function gpuDone(gl) {
  const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
  gl.flush();
  while (gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  gl.deleteSync(fence);
  if (gl.isContextLost()) throw new Error("the GPU was lost");
}
