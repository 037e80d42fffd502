/* Copyright 2026 dfd_perception maintainers */
/* SPDX-License-Identifier: Apache-2.0 */
// Numbers for people: distances, marks of a scale.

export function metres(value) {
  return value < 10 ? value.toFixed(3) : value.toFixed(2);
}

export function pixels(value) {
  return value < 100 ? value.toFixed(2) : value.toFixed(1);
}

export function short(value) {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 3;
  return String(Number(value.toFixed(digits)));
}

// Marks of a scale: on a logarithmic one numbers that people know (1 before 2 and 5, those before the rest), on a linear
// one equal steps; as many as fit.
export function marks(scale, most) {
  const kept = [];
  const offer = (number) => {
    const at = scale.position(number);
    const free = at >= 0.015 && at <= 0.985 && kept.every((other) => Math.abs(scale.position(other) - at) > 1 / most);
    if (free) kept.push(Number(number.toPrecision(6)));
  };
  if (scale.logarithmic && scale.high / scale.low > 1.8) {
    for (const set of [[1], [2, 5], [3, 7], [1.5], [1.2, 2.5, 4, 6, 8, 9]]) {
      for (let power = -3; power <= 4; power++) for (const n of set) offer(n * 10 ** power);
    }
  } else {
    const step = niceStep((scale.high - scale.low) / Math.min(most, 7));
    for (let n = Math.ceil(scale.low / step); n * step <= scale.high && n * step >= scale.low; n++) offer(n * step);
  }
  return kept.sort((a, b) => a - b);
}

// The next of 1, 2, 5 x 10^n that is not smaller.
export function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const first = rough / power;
  return (first <= 1 ? 1 : first <= 2 ? 2 : first <= 5 ? 5 : 10) * power;
}
