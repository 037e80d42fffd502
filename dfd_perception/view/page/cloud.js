/* Copyright 2026 dfd_perception maintainers */
/* SPDX-License-Identifier: Apache-2.0 */
// The depth map as points in space, by WebGL 2: the graphics card makes the points, one for each pixel of the map.

const VERTEX = `#version 300 es
precision highp float;
precision highp usampler2D;
uniform usampler2D depth;
uniform sampler2D colour, palette;
uniform ivec2 size; // of the map
uniform int stride; // every how many pixels there is a point
uniform float unit, pixelStep, pivot, away, screenHeight;
uniform vec4 camera; // fx, fy, cx, cy
uniform vec2 projection, range;
uniform mat3 turn;
uniform bool byDistance, logarithmic;
out vec3 shade;
void main() {
  int columns = (size.x + stride - 1) / stride;
  ivec2 at = ivec2(gl_VertexID % columns, gl_VertexID / columns) * stride;
  uint number = texelFetch(depth, at, 0).r;
  gl_PointSize = 1.0;
  if (number == 0u) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); return; }
  float d = float(number) * unit;
  // x right, y down, z forward, as the camera sees it (REP 103).
  vec3 point = vec3((vec2(at) * pixelStep - camera.zw) / camera.xy * d, d);
  vec3 seen = turn * (point - vec3(0.0, 0.0, pivot)) + vec3(0.0, 0.0, away);
  float nearest = pivot * 0.01, farthest = pivot * 100.0;
  gl_Position = vec4(seen.x * projection.x, -seen.y * projection.y,
                     (seen.z * (farthest + nearest) - 2.0 * farthest * nearest) / (farthest - nearest), seen.z);
  // As large as the pixel is there, and as much again: a surface that is seen aslant has few holes.
  gl_PointSize = clamp(1.9 * float(stride) * pixelStep * d / camera.x * projection.y * 0.5 * screenHeight / max(seen.z, nearest), 1.0, 32.0);
  vec2 place = (vec2(at) + 0.5) / vec2(size);
  float level = logarithmic ? log(d / range.x) / log(range.y / range.x) : (d - range.x) / (range.y - range.x);
  level = clamp(level, 0.0, 1.0);
  shade = byDistance ? texture(palette, vec2(level, 0.5)).rgb : texture(colour, place).rgb;
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec3 shade;
out vec4 result;
void main() { result = vec4(shade, 1.0); }`;
const UNIFORMS = ["depth", "colour", "palette", "size", "stride", "unit", "pixelStep", "pivot", "away", "screenHeight", "camera", "projection", "range", "turn", "byDistance", "logarithmic"];
const MOST_POINTS = 320000, MOST_WITHOUT_GRAPHICS_CARD = 25000;
const START = { yaw: -0.3, pitch: 0.16, zoom: 0.85 };

export class Cloud {
  constructor(stage) {
    this.stage = stage;
    this.canvas = stage.querySelector("canvas");
    this.byDistance = false;
    this.frame = null;
    this.reset();
    this.gl = this.canvas.getContext("webgl2", { antialias: false, alpha: true });
    if (this.gl === null) return;
    const info = this.gl.getExtension("WEBGL_debug_renderer_info");
    const renderer = info ? this.gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : "";
    this.most = /swiftshader|llvmpipe|software/i.test(renderer) ? MOST_WITHOUT_GRAPHICS_CARD : MOST_POINTS;
    this.prepare();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(stage);
  }

  // Why there is no cloud, in words; empty where there is one.
  get problem() {
    if (this.gl === null) return "this browser has no WebGL 2";
    return this.frame === null ? "no point cloud: it needs depth and the camera's focal length (camera_info, --fx or the lens)" : "";
  }

  reset() {
    Object.assign(this, START);
    this.draw();
  }

  prepare() {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.at = Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.bindVertexArray(gl.createVertexArray());
    gl.enable(gl.DEPTH_TEST);
    ["depth", "colour", "palette"].forEach((name, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      const smooth = name === "depth" ? gl.NEAREST : gl.LINEAR;
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, smooth);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, smooth);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
      gl.uniform1i(this.at[name], unit);
    });
  }

  // depth: a ValueMap; image: an ImageBitmap or null; camera: {fx, fy, cx, cy} of the map's source.
  show(depth, image, camera, scale, colours) {
    const gl = this.gl;
    if (gl === null) return;
    const usable = depth && camera;
    this.stage.classList.toggle("filled", Boolean(usable));
    if (!usable) {
      this.frame = null;
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      return;
    }
    gl.activeTexture(gl.TEXTURE0);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 2);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16UI, depth.width, depth.height, 0, gl.RED_INTEGER, gl.UNSIGNED_SHORT, depth.numbers);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
    gl.activeTexture(gl.TEXTURE1);
    if (image) gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
    gl.activeTexture(gl.TEXTURE2);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(colours.buffer));
    const middle = Math.sqrt(Math.max(scale.low, 0.01) * scale.high);
    // The point one turns about stays where it is unless the scene is another one.
    if (!this.pivot || Math.abs(Math.log(middle / this.pivot)) > 0.4) this.pivot = middle;
    this.frame = { depth, camera, scale, colourless: !image };
    this.draw();
  }

  draw() {
    const { gl, frame } = this;
    if (!gl || !frame || !this.canvas.clientWidth) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = [Math.round(this.canvas.clientWidth * ratio), Math.round(this.canvas.clientHeight * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const { depth, camera, scale } = frame;
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    // As much of the world across the height as the camera sees, so that its own view is where one starts from.
    const across = (2 * camera.fy) / depth.full_height;
    const stride = Math.ceil(Math.sqrt((depth.width * depth.height) / this.most));
    gl.uniform2i(this.at.size, depth.width, depth.height);
    gl.uniform1i(this.at.stride, stride);
    gl.uniform1f(this.at.unit, depth.unit);
    gl.uniform1f(this.at.pixelStep, depth.step);
    gl.uniform1f(this.at.pivot, this.pivot);
    gl.uniform1f(this.at.away, this.pivot / this.zoom);
    gl.uniform1f(this.at.screenHeight, height);
    gl.uniform4f(this.at.camera, camera.fx, camera.fy, camera.cx, camera.cy);
    gl.uniform2f(this.at.projection, (across * height) / width, across);
    gl.uniform2f(this.at.range, scale.low, scale.high);
    gl.uniform1i(this.at.byDistance, this.byDistance || frame.colourless ? 1 : 0);
    gl.uniform1i(this.at.logarithmic, scale.logarithmic ? 1 : 0);
    gl.uniformMatrix3fv(this.at.turn, false, turned(this.yaw, this.pitch));
    gl.drawArrays(gl.POINTS, 0, Math.ceil(depth.width / stride) * Math.ceil(depth.height / stride));
  }

  listen() {
    const pointers = new Map();
    const spread = () => {
      const [a, b] = [...pointers.values()];
      return Math.hypot(a.x - b.x, a.y - b.y);
    };
    this.stage.addEventListener("pointerdown", (event) => {
      this.stage.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    this.stage.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const apart = pointers.size === 2 ? spread() : 0;
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (pointers.size === 2) this.zoom = limited(this.zoom * (spread() / Math.max(apart, 1)), 0.2, 6);
      else {
        this.yaw = limited(this.yaw - (event.clientX - before.x) * 0.007, -3.2, 3.2);
        this.pitch = limited(this.pitch + (event.clientY - before.y) * 0.007, -1.5, 1.5);
      }
      this.draw();
    });
    for (const end of ["pointerup", "pointercancel"]) this.stage.addEventListener(end, (event) => pointers.delete(event.pointerId));
    this.stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom = limited(this.zoom * Math.exp(-event.deltaY * 0.001), 0.2, 6);
      this.draw();
    }, { passive: false });
  }
}

function limited(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// Columns of a rotation: first about the vertical, then about the horizontal axis of the screen.
function turned(yaw, pitch) {
  const [c, s, k, m] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  return new Float32Array([c, m * s, -k * s, 0, k, m, s, -m * c, k * c]);
}
