/* Copyright 2026 dfd_perception maintainers */
/* SPDX-License-Identifier: Apache-2.0 */
// The page: takes frames from the web socket, draws what is on the screen, and asks for the next when it has drawn.
import { Cloud } from "./cloud.js";
import { Compare } from "./compare.js";
import { metres, pixels } from "./format.js";
import { Legend, MapCanvas, palette, Scale, ValueMap } from "./maps.js";
import { Plots } from "./plots.js";

const by = (id) => document.getElementById(id);
const NAMES = { depth: "Depth", measured: "Measured", blur: "Blur", std: "Uncertainty" };
const HINT = "Point at an image, or tap it, for the values of that pixel. Drag the line to compare.";
const KINDS = { measured: "depth" };
const FOLLOW = 0.15; // how fast the colours follow the scene, as a share of the way each frame
const EITHER = [2.5, 3.6]; // far over near between which a scale stays linear or logarithmic, as it was

const compare = new Compare(by("compare"));
const cloud = new Cloud(by("cloud"));
const plots = new Plots(by("plots"));
const panels = {
  depth: { names: ["depth", "measured"], chosen: "depth", tabs: by("depth-tabs") },
  blur: { names: ["blur", "std"], chosen: "blur", tabs: by("blur-tabs") },
};
for (const [id, panel] of Object.entries(panels)) {
  panel.stage = by(id);
  panel.canvas = new MapCanvas(panel.stage.querySelector("canvas"));
  panel.legend = new Legend(by(`${id}-legend`));
  panel.value = by(`value-${id}`);
}

let socket, palettes = {}, units = {}, controls = [], paused = false;
let frame = null; // the newest: header, maps by name, bitmaps by name
let scale = {}; // by name of map
let fixed = null; // [near, far] [m] when the colours stay
let cursor = null; // [u, v] as fractions
const times = []; // when frames were drawn, for the rate
const visible = new Set();
window.dfdView = { get frame() { return frame; }, get socket() { return socket; }, cloud, frames: 0 }; // for tests

// --- connection ---

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/socket`);
  socket.binaryType = "arraybuffer";
  socket.onopen = ask;
  socket.onmessage = (event) => (typeof event.data === "string" ? takeText(JSON.parse(event.data)) : takeFrame(event.data));
  socket.onclose = () => {
    setPill(3, "not connected");
    banner(2, "The connection to dfd view is lost. This page goes on by itself when it is back.");
    setTimeout(connect, 1500);
  };
}

function send(message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

// Ask for the next frame: the parts on the screen, as large as they are shown.
function ask() {
  if (document.hidden) return;
  const parts = new Set([...visible].flatMap((card) => card.dataset.parts.split(" ")));
  const widest = Math.max(...[...document.querySelectorAll(".stage")].map((stage) => stage.clientWidth));
  const side = Math.ceil((widest * Math.min(window.devicePixelRatio || 1, 2)) / 160) * 160;
  send({ ready: { parts: [...parts], side_px: Math.min(Math.max(side, 320), 1280) } });
}

function takeText(message) {
  if (message.hello) {
    const hello = message.hello;
    ({ units, controls } = hello);
    palettes = Object.fromEntries(Object.entries(hello.palettes).map(([name, text]) => [name, palette(text)]));
    by("title").textContent = hello.title;
    document.title = `${hello.title} · dfd view`;
    by("controls").hidden = controls.length === 0;
    for (const name of ["previous", "pause", "next"]) by(name).hidden = !controls.includes(name);
    if (leafing()) setPaused(true);
    plots.samples = hello.history;
  }
  if (message.status) takeStatus(message.status);
}

async function takeFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const maps = {}, bitmaps = {}, waiting = [];
  for (const part of header.parts) {
    const start = 4 + length + part.offset;
    if (part.kind === "jpeg") {
      const blob = new Blob([new Uint8Array(buffer, start, part.length)], { type: "image/jpeg" });
      waiting.push(createImageBitmap(blob).then((bitmap) => (bitmaps[part.name] = bitmap)));
    } else {
      maps[part.name] = new ValueMap(part, new Uint16Array(buffer, start, part.width * part.height));
    }
  }
  await Promise.all(waiting);
  const before = frame;
  frame = { header, maps, bitmaps };
  requestAnimationFrame(() => {
    draw();
    for (const bitmap of Object.values(before?.bitmaps ?? {})) bitmap.close();
    times.push(performance.now());
    if (times.length > 30) times.shift();
    window.dfdView.frames += 1;
    ask();
  });
}

// --- drawing ---

const leafing = () => controls.includes("next");

function draw() {
  if (frame === null) return;
  const { header, maps, bitmaps } = frame;
  const size = header.parts[0];
  if (size) {
    const [w, h] = [size.full_width ?? size.width, size.full_height ?? size.height];
    document.documentElement.style.setProperty("--aspect", w / h);
    document.querySelectorAll(".stage").forEach((stage) => stage.style.setProperty("--aspect", w / h));
  }
  if (visible.has(by("card-compare"))) compare.show(bitmaps.input, bitmaps.deblurred);
  by("compare-title").textContent = header.has.includes("deblurred") ? (header.has.includes("input") ? "Input and deblurred" : "Deblurred") : "Input";
  updateScales(header.scales);
  for (const panel of Object.values(panels)) drawPanel(panel, header, maps);
  if (visible.has(by("card-cloud"))) {
    const image = bitmaps.deblurred ?? bitmaps.input ?? null;
    cloud.show(maps.depth, image, header.camera, scale.depth, palettes.depth);
    by("cloud").querySelector(".empty").textContent = cloud.problem;
  }
  showPill(header);
  readValues();
}

function drawPanel(panel, header, maps) {
  const present = panel.names.filter((name) => header.has.includes(name));
  if (present.length && !present.includes(panel.chosen)) panel.chosen = present[0];
  showTabs(panel, present);
  const map = maps[panel.chosen];
  panel.stage.classList.toggle("filled", present.length > 0);
  panel.legend.element.hidden = present.length === 0;
  if (!map || !scale[panel.chosen]) return;
  const colours = palettes[KINDS[panel.chosen] ?? panel.chosen];
  panel.canvas.draw(map, scale[panel.chosen], colours);
  panel.legend.draw(scale[panel.chosen], colours, units[panel.chosen]);
}

function showTabs(panel, present) {
  const said = present.join();
  panel.tabs.hidden = present.length < 2;
  if (panel.tabs.dataset.said !== said) {
    panel.tabs.dataset.said = said;
    panel.tabs.replaceChildren(
      ...present.map((name) => {
        const button = document.createElement("button");
        button.textContent = NAMES[name];
        button.dataset.map = name;
        button.onclick = () => {
          panel.chosen = name;
          draw();
        };
        return button;
      })
    );
  }
  for (const button of panel.tabs.children) button.setAttribute("aria-pressed", button.dataset.map === panel.chosen);
  if (panel === panels.blur) by("blur-title").textContent = NAMES[panel.chosen];
}

// The colours follow the scene slowly: a colour that jumps from frame to frame says nothing.
function updateScales(scales) {
  for (const [name, { low, high, logarithmic: asked }] of Object.entries(scales)) {
    const before = scale[name];
    const stays = before && !leafing() && high > EITHER[0] * low && high < EITHER[1] * low;
    const logarithmic = stays ? before.logarithmic : asked;
    let wanted = [low, high];
    const near = before && before.logarithmic === logarithmic && Math.abs(high - before.high) + Math.abs(low - before.low) < before.high;
    if (near && !leafing()) wanted = [before.low + FOLLOW * (low - before.low), before.high + FOLLOW * (high - before.high)];
    scale[name] = new Scale(...wanted, logarithmic);
  }
  if (fixed) for (const name of ["depth", "measured"]) if (scale[name]) scale[name] = new Scale(...fixed, true);
  if (!fixed && scale.depth) showRange(scale.depth.low, scale.depth.high);
}

function showRange(near, far) {
  for (const [id, value] of [["range-near", near], ["range-far", far]]) {
    if (document.activeElement !== by(id)) by(id).value = Number(value.toPrecision(2));
  }
}

function fixRange(stays) {
  const [near, far] = [Number(by("range-near").value), Number(by("range-far").value)];
  fixed = stays && near > 0 && far > near ? [near, far] : null;
  by("range-scene").setAttribute("aria-pressed", fixed === null);
  by("range-fixed").setAttribute("aria-pressed", fixed !== null);
  draw();
}

// --- the value under the cursor ---

function valueText(name, value) {
  if (value === null) return "none";
  return `${units[name] === "m" ? metres(value) : pixels(value)} ${units[name]}`;
}

function readValues() {
  for (const panel of Object.values(panels)) {
    const map = frame?.maps[panel.chosen];
    const value = cursor && map ? map.at(...cursor) : null;
    panel.value.textContent = cursor && map ? valueText(panel.chosen, value) : "";
    const std = panel.chosen === "depth" && value !== null ? frame.maps.std?.at(...cursor) : null;
    if (std) panel.value.append(Object.assign(document.createElement("small"), { textContent: ` ± ${valueText("std", std)}` }));
    if (map && scale[panel.chosen]) panel.legend.point(scale[panel.chosen], value);
  }
  by("name").textContent = frame?.header.name ?? "";
  readOut();
  for (const stage of document.querySelectorAll(".stage:not(.cloud)")) {
    stage.classList.toggle("pointed", cursor !== null);
    const cross = stage.querySelector(".cross");
    if (cursor) Object.assign(cross.style, { left: `${cursor[0] * 100}%`, top: `${cursor[1] * 100}%` });
  }
}

// All values of the pixel together, below the image that a person looks at.
function readOut() {
  const maps = Object.entries(frame?.maps ?? {});
  if (!cursor || !maps.length) {
    const hint = Object.assign(document.createElement("p"), { className: "hint", textContent: HINT });
    by("readout").replaceChildren(hint);
    return;
  }
  const [x, y] = maps[0][1].pixel(...cursor);
  const rows = [["Pixel", `${x}, ${y}`], ...maps.map(([name, map]) => [NAMES[name], valueText(name, map.at(...cursor))])];
  by("readout").replaceChildren(
    ...rows.map(([name, text]) => {
      const row = document.createElement("div");
      row.append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: text }));
      return row;
    })
  );
}

for (const stage of document.querySelectorAll(".stage:not(.cloud)")) {
  const point = (event) => {
    const box = stage.getBoundingClientRect();
    cursor = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    readValues();
  };
  stage.addEventListener("pointermove", (event) => (event.pointerType === "mouse" || event.buttons) && point(event));
  stage.addEventListener("pointerdown", point);
  // A finger that is lifted leaves its mark; a mouse that goes away takes it along.
  stage.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "mouse") return;
    cursor = null;
    readValues();
  });
}

// --- state, diagnostics ---

function showPill(header) {
  if (leafing()) return;
  const seconds = (times[times.length - 1] - times[0]) / 1000;
  const rate = times.length > 2 ? `${((times.length - 1) / seconds).toFixed(1)} frames/s` : controls.length ? "live" : "1 image";
  setPill(level, paused ? "paused" : header.age_s === null ? rate : `${rate} · ${Math.round(header.age_s * 1000)} ms old`);
}

let level = 0;

function takeStatus(status) {
  level = status.level;
  banner(status.level, status.level ? sentence(status.message) : "");
  if (leafing()) setPill(status.level, status.level ? "look below" : status.message);
  else if (frame === null || status.level === 3) setPill(status.level, status.level === 3 ? "waiting" : status.message);
  if (status.series) plots.add(status.series);
  by("card-plots").hidden = !plots.filled;
  plots.draw();
  by("card-facts").hidden = status.values.length === 0;
  by("facts-message").textContent = status.level ? "" : status.message;
  by("facts").replaceChildren(
    ...status.values.filter(([, value]) => value !== "").map(([key, value]) => {
      const row = document.createElement("div");
      row.append(Object.assign(document.createElement("dt"), { textContent: key }), Object.assign(document.createElement("dd"), { textContent: value }));
      return row;
    })
  );
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

function setPill(state, text) {
  by("pill").dataset.level = state;
  by("pill-text").textContent = text;
}

function banner(state, text) {
  by("banner").hidden = !text;
  by("banner").dataset.level = state;
  by("banner").textContent = text;
}

// --- buttons ---

function setPaused(now) {
  paused = now;
  by("pause").title = paused ? "Play (space)" : "Pause (space)";
  by("pause").setAttribute("aria-label", paused ? "Play" : "Pause");
  by("pause").querySelector("path").setAttribute("d", paused ? "M4.5 3v10l8-5z" : "M5 3v10M11 3v10");
  if (!leafing() && frame) showPill(frame.header);
}

by("pause").onclick = () => {
  setPaused(!paused);
  send({ command: paused ? "pause" : "play" });
};
for (const name of ["previous", "next"]) by(name).onclick = () => send({ command: name });
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, button, [role=slider]")) return;
  const id = { ArrowLeft: "previous", ArrowRight: "next", " ": "pause" }[event.key];
  if (!id || by(id).hidden) return;
  event.preventDefault();
  by(id).click();
});
by("range-scene").onclick = () => fixRange(false);
by("range-fixed").onclick = () => fixRange(true);
for (const id of ["range-near", "range-far"]) by(id).onchange = () => fixRange(true);
for (const kind of ["image", "depth"]) {
  by(`cloud-${kind}`).onclick = () => {
    cloud.byDistance = kind === "depth";
    by("cloud-image").setAttribute("aria-pressed", !cloud.byDistance);
    by("cloud-depth").setAttribute("aria-pressed", cloud.byDistance);
    cloud.draw();
  };
}
by("cloud-reset").onclick = () => cloud.reset();

// --- light and dark ---

const dark = matchMedia("(prefers-color-scheme: dark)");
let chosenTheme = localStorage.getItem("dfd-theme");
function showTheme() {
  document.documentElement.dataset.theme = chosenTheme ?? (dark.matches ? "dark" : "light");
  plots.draw();
}
by("theme").onclick = () => {
  chosenTheme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("dfd-theme", chosenTheme);
  showTheme();
};
dark.addEventListener("change", showTheme);
showTheme();

// --- what is on the screen ---

const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.isIntersecting ? visible.add(entry.target) : visible.delete(entry.target);
  if (socket?.readyState === WebSocket.OPEN) ask();
}, { rootMargin: "100px" });
document.querySelectorAll("[data-parts]").forEach((card) => observer.observe(card));
document.addEventListener("visibilitychange", ask);
new ResizeObserver(() => socket?.readyState === WebSocket.OPEN && ask()).observe(document.querySelector("main"));
connect();
