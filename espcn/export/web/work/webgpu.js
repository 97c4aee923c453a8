// The network by WebGPU: a compute pass for each layer. Channels lie four to a vector, layer by
// layer, in float32.

const WGSL_HEAD = `
struct Tile {
  luma: vec4f, // the weights of red, green and blue, and the offset less ${CENTER}
  origin: vec2i, // of the rectangle that is upscaled, in the source
  extent: vec2i, // of what the pass makes
  corner: vec2i, // where the result begins in the picture
  gain: f32, // of each colour where luma changes
}
@group(0) @binding(0) var<uniform> tile: Tile;
`;

const WGSL_ACTIVATIONS = { tanh: "tanh(clamp(sum, vec4f(-9), vec4f(9)))", relu: "max(sum, vec4f(0))" };

const SPAN = 4; // neighbouring pixels that a thread makes, for which it reads each weight once

// Each thread makes SPAN pixels, the first of them `at`, of up to twice four outputs; `id.z` says
// which of the layer's.
function layerCode({ inputs, outputs, size }, activation) {
  const first = inputs === 1;
  const groups = layerGroups(outputs);
  const fours = first ? 1 : inputs / 4;
  const read = (x) => (first
    ? `dot(tile.luma, vec4f(255 * textureLoad(source, clamp(at + vec2i(${x}, y) + tile.origin - 4,
        vec2i(0), last), 0).rgb, 1))`
    : `flow[(i * height + at.y + y) * width + at.x + ${x}]`);
  const tap = (x) => each(groups, (g) => `{
        let weight = kernel[k + ${x * fours * groups + g}];
        ${each(SPAN, (p) => `sum${g}${p} += weight * value${x + p};`)}
      }`);
  return `${WGSL_HEAD}
@group(0) @binding(1) var<storage, read> kernel: array<${first ? "vec4f" : "mat4x4f"}>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> result: array<vec4f>;
${first ? "@group(0) @binding(4) var source: texture_2d<f32>;"
    : "@group(0) @binding(4) var<storage, read> flow: array<vec4f>;"}
fn activated(sum: vec4f) -> vec4f { return ${activation ? WGSL_ACTIVATIONS[activation] : "sum"}; }
@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3u) {
  let at = vec2i(id.xy) * vec2i(${SPAN}, 1);
  if (any(at >= tile.extent)) { return; }
  let width = tile.extent.x + ${size - 1};
  let height = tile.extent.y + ${size - 1};
  let group = i32(id.z) * ${groups};
  ${first ? "let last = vec2i(textureDimensions(source)) - 1;" : ""}
  ${each(groups * SPAN, (n) => `var sum${n / SPAN | 0}${n % SPAN} = bias[group + ${n / SPAN | 0}];`)}
  for (var y = 0; y < ${size}; y++) {
    for (var i = 0; i < ${fours}; i++) {
      ${each(size + SPAN - 1, (x) => `let value${x} = ${read(x)};`)}
      let k = (group * ${size} + y * ${groups}) * ${size * fours} + i * ${groups};
      ${each(size, tap)}
    }
  }
  let to = (group * tile.extent.y + at.y) * tile.extent.x + at.x;
  let layer = tile.extent.x * tile.extent.y;
  ${each(SPAN, (p) => `if (at.x + ${p} < tile.extent.x) {
    ${each(groups, (g) => `result[to + ${p} + ${g} * layer] = activated(sum${g}${p});`)}
  }`)}
}`;
}

// Return how many fours of outputs a thread makes: a divisor of all of them.
function layerGroups(outputs) {
  return (outputs / 4) % 2 ? 1 : 2;
}

// Return the weights of all outputs, thread by thread.
function allSideBySide(layer) {
  const [all, groups] = [layer.outputs / 4, layerGroups(layer.outputs)];
  const block = new Float32Array(layer.kernel.length);
  for (let first = 0; first < all; first += groups) {
    block.set(sideBySide(layer, first, groups), (first / all) * block.length);
  }
  return block;
}

// A pixel of the result: bicubic RGBA, and the network's luma in place of the bicubic one.
const composeCode = (r) => `${WGSL_HEAD}
@group(0) @binding(1) var<storage, read> cubic: array<f32>;
@group(0) @binding(2) var<storage, read> flow: array<vec4f>;
@group(0) @binding(3) var source: texture_2d<f32>;
@group(0) @binding(4) var picture: texture_storage_2d<rgba8unorm, write>;
fn mirrored(at: i32, size: i32) -> i32 {
  return clamp(select(select(at, 2 * size - 1 - at, at >= size), -1 - at, at < 0), 0, size - 1);
}
@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3u) {
  let at = vec2i(id.xy);
  if (any(at >= tile.extent)) { return; }
  let cell = at / ${r};
  let sub = at % ${r};
  let size = vec2i(textureDimensions(source));
  var rgba = vec4f(0);
  for (var y = 0; y < 5; y++) {
    var line = vec4f(0);
    let row = mirrored(tile.origin.y + cell.y + y - 2, size.y);
    for (var x = 0; x < 5; x++) {
      let column = mirrored(tile.origin.x + cell.x + x - 2, size.x);
      line += cubic[5 * sub.x + x] * textureLoad(source, vec2i(column, row), 0);
    }
    rgba += cubic[5 * sub.y + y] * line;
  }
  rgba *= 255;
  let channel = sub.y * ${r} + sub.x;
  let cells = tile.extent / ${r};
  let level = flow[((channel / 4) * cells.y + cell.y) * cells.x + cell.x][channel % 4];
  let change = tile.gain * (level - dot(tile.luma, vec4f(rgba.rgb, 1)));
  rgba = vec4f(rgba.rgb + change, rgba.a);
  textureStore(picture, at + tile.corner, floor(clamp(rgba, vec4f(0), vec4f(255)) + 0.5) / 255);
}`;

class WebgpuEngine {
  static title = "WebGPU";
  static TILE = 256;

  static async make(network, canvas) {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) throw new Error("no WebGPU");
    const engine = new WebgpuEngine();
    const { maxTextureDimension2D } = adapter.limits;
    engine.device = await adapter.requestDevice({ requiredLimits: { maxTextureDimension2D } });
    engine.widest = maxTextureDimension2D; // pixels of a frame's longer side
    engine.device.lost.then(() => (engine.lost = true));
    engine.device.pushErrorScope("validation");
    engine.build(network, canvas);
    const error = await engine.device.popErrorScope();
    if (error) throw new Error(`WebGPU: ${error.message}`);
    return engine;
  }

  build(network, canvas) {
    const { device } = this;
    Object.assign(this, { canvas, network, r: network.r, buffers: [] });
    this.layers = network.layers.map((one, number) => {
      const layer = inFours(one);
      return {
        ...layer,
        pipeline: this.pipeline(layerCode(layer, number < 2 ? network.activation : "")),
        weights: this.stored(allSideBySide(layer)),
        biases: this.stored(layer.bias),
      };
    });
    this.compose = this.pipeline(composeCode(this.r));
    this.cubic = this.stored(cubicWeights(this.r));
    if (canvas) {
      this.context = canvas.getContext("webgpu");
      const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.RENDER_ATTACHMENT;
      this.context.configure({ device, format: "rgba8unorm", usage, alphaMode: "opaque" });
    }
  }

  // Return the rectangle upscaled: bytes of straight RGBA, r w by r h.
  async run(tile) {
    const { device, r } = this;
    const size = [tile.width, tile.height];
    const source = this.texture(...size, GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST);
    device.queue.writeTexture({ texture: source }, tile.pixels, { bytesPerRow: 4 * size[0] }, size);
    const [width, height] = [r * tile.w, r * tile.h];
    const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_SRC;
    const large = this.texture(width, height, usage);
    const encoder = device.createCommandEncoder();
    this.encode(encoder, source, tile, large, [0, 0]);
    const bytesPerRow = 256 * Math.ceil((4 * width) / 256);
    const copy = this.buffer(bytesPerRow * height, GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ);
    encoder.copyTextureToBuffer({ texture: large }, { buffer: copy, bytesPerRow }, [width, height]);
    device.queue.submit([encoder.finish()]);
    await copy.mapAsync(GPUMapMode.READ);
    const rows = new Uint8Array(copy.getMappedRange());
    const bytes = new Uint8ClampedArray(4 * width * height);
    for (let y = 0; y < height; y++) {
      bytes.set(rows.subarray(y * bytesPerRow, y * bytesPerRow + 4 * width), 4 * width * y);
    }
    this.release(source, large);
    return bytes;
  }

  // Upscale a frame of a video to the canvas, and wait for it.
  async show(frame) {
    const { device, r, canvas } = this;
    const { width, height } = frame;
    if (canvas.width !== r * width || canvas.height !== r * height) {
      Object.assign(canvas, { width: r * width, height: r * height });
    }
    const usage = GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST
      | GPUTextureUsage.RENDER_ATTACHMENT;
    const source = this.texture(width, height, usage);
    device.queue.copyExternalImageToTexture({ source: frame }, { texture: source }, [width, height]);
    const large = this.context.getCurrentTexture();
    const encoder = device.createCommandEncoder();
    for (const tile of tiles(width, height, WebgpuEngine.TILE)) {
      this.encode(encoder, source, tile, large, [r * tile.x, r * tile.y]);
    }
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    this.release(source);
    if (this.lost) throw new Error("the GPU was lost");
  }

  // Encode what upscales a tile of the source into a picture, at a corner.
  encode(encoder, source, tile, picture, corner) {
    const { r } = this;
    let [width, height] = [tile.w + 2 * HALO, tile.h + 2 * HALO];
    let flow = source.createView();
    const pass = encoder.beginComputePass();
    for (const layer of this.layers) {
      [width, height] = [width - layer.size + 1, height - layer.size + 1];
      const result = this.room(layer, 4 * width * height * layer.outputs);
      const parts = this.uniforms(tile, [width, height], corner);
      const threads = layer.outputs / 4 / layerGroups(layer.outputs);
      const bound = [parts, layer.weights, layer.biases, result, flow];
      this.dispatch(pass, layer.pipeline, bound, width / SPAN, height, threads);
      flow = result;
    }
    const parts = this.uniforms(tile, [r * width, r * height], corner);
    const bound = [parts, this.cubic, flow, source.createView(), picture.createView()];
    this.dispatch(pass, this.compose, bound, r * width, r * height, 1);
    pass.end();
  }

  dispatch(pass, pipeline, bound, width, height, depth) {
    const entries = bound.map((one, binding) => (
      { binding, resource: one instanceof GPUBuffer ? { buffer: one } : one }
    ));
    const layout = pipeline.getBindGroupLayout(0);
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, this.device.createBindGroup({ layout, entries }));
    pass.dispatchWorkgroups(Math.ceil(width / 8), Math.ceil(height / 8), depth);
  }

  uniforms(tile, extent, corner) {
    const values = new ArrayBuffer(48);
    new Float32Array(values).set([...LUMA.weights, LUMA.offset - CENTER]);
    new Int32Array(values).set([tile.x, tile.y, ...extent, ...corner], 4);
    new Float32Array(values)[10] = LUMA.gain;
    const buffer = this.buffer(48, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    this.device.queue.writeBuffer(buffer, 0, values);
    return buffer;
  }

  pipeline(code) {
    const module = this.device.createShaderModule({ code });
    return this.device.createComputePipeline({ layout: "auto", compute: { module } });
  }

  texture(width, height, usage) {
    return this.device.createTexture({ size: [width, height], format: "rgba8unorm", usage });
  }

  // Return a layer's own buffer, which the tiles fill in turn, with room for so many bytes.
  room(layer, bytes) {
    if (!(layer.result?.size >= bytes)) {
      layer.result?.destroy();
      layer.result = this.device.createBuffer({ size: bytes, usage: GPUBufferUsage.STORAGE });
    }
    return layer.result;
  }

  // Return a buffer that lasts until `release`.
  buffer(size, usage) {
    const buffer = this.device.createBuffer({ size, usage });
    this.buffers.push(buffer);
    return buffer;
  }

  release(...textures) {
    for (const one of [...this.buffers, ...textures]) one.destroy();
    this.buffers = [];
  }

  // Return a buffer that holds numbers as long as the engine lives.
  stored(numbers) {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    const buffer = this.device.createBuffer({ size: numbers.byteLength, usage });
    this.device.queue.writeBuffer(buffer, 0, numbers);
    return buffer;
  }
}
