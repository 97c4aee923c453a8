// The bytes of a picture, strip by strip, with straight alpha. A canvas would multiply colours by
// alpha and lose them where that is small; WebGL hands them on as they are.

class Source {
  static async open(file) {
    const source = new Source();
    source.bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" });
    source.gl = textureOf(source.bitmap);
    return source;
  }

  get width() { return this.bitmap.width; }

  get height() { return this.bitmap.height; }

  // Return rows `top` to `bottom`: bytes of straight RGBA.
  async rows(top, bottom) {
    const strip = [this.width, bottom - top];
    if (this.gl) {
      try {
        return await readBack(this.gl, ...strip, top);
      } catch {
        this.gl = null;
      }
    }
    const context = new OffscreenCanvas(...strip).getContext("2d");
    context.drawImage(this.bitmap, 0, -top); // not cropped before: Firefox forgets where it began
    return context.getImageData(0, 0, ...strip).data;
  }
}

// Return WebGL with a picture to read from; nothing where the picture is too large, or there is none.
function textureOf(bitmap) {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  const { width, height } = bitmap;
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  return gl.getError() ? null : gl;
}
