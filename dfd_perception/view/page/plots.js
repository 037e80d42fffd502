/* Copyright 2026 dfd_perception maintainers */
/* SPDX-License-Identifier: Apache-2.0 */
// Lines over the last two minutes.
import { niceStep, short } from "./format.js";

const WINDOW_S = 120;
// As many as the node has stages: no two lines of a chart look alike.
const COLOURS = [1, 2, 3, 4, 5, 6, 7].map((number) => `--series-${number}`);
const RATES = ["rate in", "rate out"];
const NO_DEPTH = "without depth";

export class Plots {
  constructor(element) {
    this.element = element;
    this.samples = [];
    this.charts = [
      this.chart("Frames per second", (name) => RATES.includes(name), (name) => name.replace("rate ", ""), 1, 1),
      this.chart("Latency [ms], median", (name) => !RATES.includes(name) && name !== NO_DEPTH, (name) => name, 1, 1),
      this.chart("Pixels without depth [%]", (name) => name === NO_DEPTH, () => "", 100, 1),
    ];
    new ResizeObserver(() => this.draw()).observe(element);
  }

  // least: the top of the axis is never lower, so that noise around 0 does not fill the chart.
  chart(title, takes, shown, factor, least) {
    const box = document.createElement("div");
    box.className = "plot";
    box.innerHTML = "<h3></h3><div class='names'></div><canvas></canvas>";
    box.querySelector("h3").textContent = title;
    this.element.append(box);
    return { box, takes, shown, factor, least, names: box.querySelector(".names"), canvas: box.querySelector("canvas") };
  }

  add(sample) {
    this.samples.push(sample);
    while (this.samples.length && this.samples[0].t < sample.t - WINDOW_S) this.samples.shift();
  }

  // Whether there is anything to draw.
  get filled() {
    return this.samples.length > 0;
  }

  draw() {
    const style = getComputedStyle(document.documentElement);
    for (const chart of this.charts) {
      const names = [...new Set(this.samples.flatMap((s) => Object.keys(s)))].filter((n) => n !== "t" && chart.takes(n));
      chart.box.hidden = names.length === 0;
      if (!names.length || !chart.canvas.clientWidth) continue;
      this.describe(chart, names);
      this.lines(chart, names, style);
    }
  }

  describe(chart, names) {
    const last = this.samples[this.samples.length - 1];
    chart.names.replaceChildren(
      ...names.map((name, index) => {
        const entry = document.createElement("span");
        const stroke = document.createElement("i");
        stroke.style.background = `var(${COLOURS[index % COLOURS.length]})`;
        const value = last[name] === undefined ? "" : short(last[name] * chart.factor);
        entry.append(stroke, `${chart.shown(name)} ${value}`.trim());
        return entry;
      })
    );
  }

  lines(chart, names, style) {
    const { canvas, factor } = chart;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const end = this.samples[this.samples.length - 1].t;
    const span = Math.min(WINDOW_S, Math.max(20, end - this.samples[0].t));
    const largest = Math.max(chart.least, ...names.flatMap((n) => this.samples.map((s) => (s[n] ?? 0) * factor)));
    const step = niceStep(largest / 3);
    const top = step * Math.ceil((largest / step) * 1.02);
    const values = [];
    for (let value = 0; value <= top * 1.001; value += step) values.push(value);
    context.font = "11px system-ui, sans-serif";
    const widest = Math.max(...values.map((value) => context.measureText(short(value)).width));
    const [left, right, upper, lower] = [Math.max(34, Math.ceil(widest) + 8), width - 4, 6, height - 18];
    const x = (t) => right - ((end - t) / span) * (right - left);
    const y = (value) => lower - (value / top) * (lower - upper);
    context.fillStyle = style.getPropertyValue("--soft");
    context.strokeStyle = style.getPropertyValue("--grid");
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of values) {
      context.beginPath();
      context.moveTo(left, y(value));
      context.lineTo(right, y(value));
      context.stroke();
      context.fillText(short(value), left - 6, y(value));
    }
    context.textBaseline = "alphabetic";
    context.textAlign = "left";
    context.fillText(`${Math.round(span)} s ago`, left, height - 4);
    context.textAlign = "right";
    context.fillText("now", right, height - 4);
    names.forEach((name, index) => {
      context.strokeStyle = style.getPropertyValue(COLOURS[index % COLOURS.length]);
      context.lineWidth = 1.75;
      context.lineJoin = "round";
      context.beginPath();
      let drawn = false;
      for (const sample of this.samples) {
        if (sample[name] === undefined || sample.t < end - span) continue;
        drawn ? context.lineTo(x(sample.t), y(sample[name] * factor)) : context.moveTo(x(sample.t), y(sample[name] * factor));
        drawn = true;
      }
      context.stroke();
    });
  }
}
