"use strict";
// The numbers of the page: stored rows become weights, and positions in the picture become cells.

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

async function inflated(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Every stored row is the difference to the row before it, modulo 256, because neighbouring queries look alike.
async function unpacked(stored) {
  const levels = await inflated(stored.text);
  for (let i = stored.columns; i < levels.length; i++) levels[i] += levels[i - stored.columns];
  return {
    levels,
    low: new Float32Array(bytesOf(stored.low).buffer),
    high: new Float32Array(bytesOf(stored.high).buffer),
    columns: stored.columns,
    power: stored.power,
  };
}

function rowOf(matrix, row) {
  const { levels, low, high, columns, power } = matrix;
  const weights = new Float64Array(columns);
  for (let i = 0; i < columns; i++) {
    weights[i] = low[row] + (high[row] - low[row]) * (levels[row * columns + i] / 255) ** power;
  }
  return weights;
}

function allOf(matrix) {
  const values = new Float64Array(matrix.levels.length);
  for (let row = 0; row < matrix.low.length; row++) values.set(rowOf(matrix, row), row * matrix.columns);
  return values;
}

const clamped = (value, count) => Math.min(Math.max(value, 0), count - 1);

const centre = ([start, end], count, cell) => start + ((end - start) * (cell + 0.5)) / count;

const centreOf = (frame, grid, cell) => frame.map((side, axis) => centre(side, grid[axis], cell[axis]));

// The nearest cell of a grid.
function cellAt(frame, grid, point) {
  return frame.map(([start, end], axis) =>
    clamped(Math.floor(((point[axis] - start) / (end - start)) * grid[axis]), grid[axis]),
  );
}

// The first part of a layer that contains a point, or the nearest; null outside the regions of a detector.
function partAt(layer, point) {
  const beyond = ({ frame }) =>
    Math.hypot(...frame.map(([start, end], axis) => Math.max(start - point[axis], 0, point[axis] - end)));
  const away = layer.parts.map(beyond);
  const nearest = away.indexOf(Math.min(...away));
  return layer.objects && away[nearest] > 0 ? null : nearest;
}

const flat = ([t, y, x], grid) => (t * grid[1] + y) * grid[2] + x;

const unflat = (index, grid) => [
  Math.floor(index / (grid[1] * grid[2])),
  Math.floor(index / grid[2]) % grid[1],
  index % grid[2],
];

const largestOf = (weights) => weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);

function strongest(weights, count, least) {
  const order = Array.from(weights.keys()).filter((i) => Math.abs(weights[i]) >= least && weights[i] !== 0);
  return order.sort((a, b) => Math.abs(weights[b]) - Math.abs(weights[a]) || a - b).slice(0, count);
}

function digits(value) {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-4 || size >= 1e5) ? value.toExponential(3) : String(Number(value.toPrecision(4)));
}
