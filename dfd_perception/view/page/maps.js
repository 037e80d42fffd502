/* Copyright 2026 dfd_perception maintainers */
/* SPDX-License-Identifier: Apache-2.0 */
// A map in colours: its canvas, its legend, and the value of a pixel. The numbers are those of the source; the colours
// are made here.
import { marks, short } from "./format.js";

// 256 colours as the little-endian words that an ImageData holds.
export function palette(base64) {
  const bytes = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
  const words = new Uint32Array(256);
  for (let i = 0; i < 256; i++) words[i] = 0xff000000 | (bytes[3 * i + 2] << 16) | (bytes[3 * i + 1] << 8) | bytes[3 * i];
  return words;
}

export class ValueMap {
  // numbers: Uint16Array, 0 where there is none; value = number * unit.
  constructor(part, numbers) {
    Object.assign(this, part);
    this.numbers = numbers;
  }

  // Value at a place given as fractions of width and height; null where there is none.
  at(u, v) {
    const [x, y] = this.pixel(u, v);
    const number = this.numbers[(y / this.step) * this.width + x / this.step];
    return number ? number * this.unit : null;
  }

  // The pixel of the source that `at` reads: [x, y].
  pixel(u, v) {
    const x = Math.min(Math.floor(u * this.width), this.width - 1);
    const y = Math.min(Math.floor(v * this.height), this.height - 1);
    return [Math.max(0, x) * this.step, Math.max(0, y) * this.step];
  }
}

export class Scale {
  constructor(low, high, logarithmic) {
    this.low = low;
    this.high = Math.max(high, low + 1e-9);
    this.logarithmic = logarithmic;
  }

  position(value) {
    if (!this.logarithmic) return (value - this.low) / (this.high - this.low);
    return Math.log(value / this.low) / Math.log(this.high / this.low);
  }
}

export class MapCanvas {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: true });
    this.table = new Uint32Array(65536);
  }

  draw(map, scale, colours) {
    // One colour for each number, then one look-up for each pixel.
    for (let number = 1; number < 65536; number++) {
      const level = Math.round(scale.position(number * map.unit) * 255);
      this.table[number] = colours[level < 0 ? 0 : level > 255 ? 255 : level];
    }
    if (this.canvas.width !== map.width || this.canvas.height !== map.height) {
      this.canvas.width = map.width;
      this.canvas.height = map.height;
    }
    const image = this.context.createImageData(map.width, map.height);
    const words = new Uint32Array(image.data.buffer);
    for (let i = 0; i < words.length; i++) words[i] = this.table[map.numbers[i]];
    this.context.putImageData(image, 0, 0);
  }
}

export class Legend {
  constructor(element) {
    this.element = element;
    this.bar = document.createElement("canvas");
    this.pointer = document.createElement("b");
    this.bar.width = 256;
    this.bar.height = 1;
    element.append(this.bar, this.pointer);
    this.said = "";
    this.pointer.hidden = true;
  }

  draw(scale, colours, unit) {
    const context = this.bar.getContext("2d");
    const image = context.createImageData(256, 1);
    new Uint32Array(image.data.buffer).set(colours);
    context.putImageData(image, 0, 0);
    const most = Math.max(2, Math.floor(this.element.clientWidth / 56));
    const numbers = marks(scale, most);
    const width = this.element.clientWidth;
    const said = numbers.map((n) => `${short(n)}@${scale.position(n).toFixed(3)}`).join() + unit + width;
    if (said === this.said) return;
    this.said = said;
    this.element.querySelectorAll("span").forEach((mark) => mark.remove());
    for (const number of numbers) {
      const mark = document.createElement("span");
      mark.textContent = `${short(number)} ${unit}`;
      mark.style.left = `${scale.position(number) * 100}%`;
      this.element.append(mark);
      // Near an end the text stays inside; its stroke stays where the value is.
      const [at, half] = [scale.position(number) * width, mark.offsetWidth / 2];
      mark.style.setProperty("--shift", `${Math.min(Math.max(at, half), width - half) - at}px`);
    }
  }

  point(scale, value) {
    this.pointer.hidden = value === null;
    if (value !== null) this.pointer.style.left = `${Math.min(Math.max(scale.position(value), 0), 1) * 100}%`;
  }
}
