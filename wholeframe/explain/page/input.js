"use strict";
// What a reader does with pointer, finger and keyboard, and the start of the page.

function moveQuery(point) {
  chosen.at = point;
  chosen.panel = panelAt(layerNow(), point[0]);
  chosen.read = null;
  draw();
}

function moveRead(cell) {
  chosen.read = cell;
  draw();
}

// From a position on a canvas to a point of the picture; null between the frames of the strip.
function pointAt(event) {
  const { offsetX: x, offsetY: y, currentTarget: canvas } = event;
  const shown = canvas === part.stage ? [places.stage] : places.strip;
  const place = shown.find((one) => x >= one.x && x < one.x + one.width && y >= one.y && y < one.y + one.height);
  if (!place) return null;
  const pixel = (at, side) => clamped(Math.floor(at * side), side) + 0.5;
  return [
    layerNow().panels[place.panel].time,
    pixel((y - place.y) / place.height, page.size[0]),
    pixel((x - place.x) / place.width, page.size[1]),
  ];
}

function clicked(event) {
  const [point, layer] = [pointAt(event), layerNow()];
  if (!point) return;
  if (!moves(layer)) chosen.panel = panelAt(layer, point[0]);
  const reads = !moves(layer) || document.querySelector("input[name=tap]:checked").value === "read";
  if (!reads) moveQuery(point);
  else if (hasMap(layer) && partNow(layer)) moveRead(cellAt(partNow(layer).key_frame, layer.keys, point));
  else draw();
}

function hovered(event) {
  const layer = layerNow();
  if (event.pointerType !== "mouse" || !hasMap(layer) || !partNow(layer)) return;
  const point = pointAt(event);
  const cell = point && cellAt(partNow(layer).key_frame, layer.keys, point);
  if (String(cell) !== String(chosen.read)) moveRead(cell);
}

function overBars(event) {
  const count = layerNow().keys[2];
  moveRead([0, 0, clamped(Math.floor((event.offsetX / part.bars.clientWidth) * count), count)]);
}

function overCovariance(event) {
  const count = Math.sqrt(matrices.get(chosen.layer).covariance.length);
  const cell = (at) => clamped(Math.floor((at / part.covariance.clientWidth) * count), count);
  chosen.pair = [cell(event.offsetY), cell(event.offsetX)];
  draw();
}

const STEPS = { ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0], ArrowLeft: [0, 0, -1], ArrowRight: [0, 0, 1], ",": [-1, 0, 0], ".": [1, 0, 0] };

function stepped(cell, grid, step) {
  return cell.map((at, axis) => clamped(at + step[axis], grid[axis]));
}

function moved(step, reading) {
  const layer = layerNow();
  if (!moves(layer) || (reading && partNow(layer))) {
    if (step[0] && hasMap(layer)) chosen.panel = clamped(chosen.panel + step[0], layer.panels.length);
    moveRead(stepped(readCell(layer), layer.keys, step));
  } else moveQuery(neighbour(layer, step));
}

// The centre of the next cell; across the edge of a part, the point one cell on; between the frames of a clip, a panel on.
function neighbour(layer, step) {
  if (step[0] && layer.parts.length > 1) {
    const panel = clamped(panelAt(layer, chosen.at[0]) + step[0], layer.panels.length);
    return [layer.panels[panel].time, chosen.at[1], chosen.at[2]];
  }
  const { frame } = partNow(layer) ?? layer.parts[0];
  const cell = cellAt(frame, layer.grid, chosen.at);
  const next = stepped(cell, layer.grid, step);
  if (layer.parts.length === 1 || String(next) !== String(cell)) return centreOf(frame, layer.grid, next);
  const size = (axis) => (frame[axis][1] - frame[axis][0]) / layer.grid[axis];
  const inside = (at, axis) => Math.min(Math.max(at, 0), page.size[axis - 1]);
  return chosen.at.map((at, axis) => (axis ? inside(at + step[axis] * size(axis), axis) : at));
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { key, target } = event;
  const onCanvas = target === part.stage || target === part.bars;
  const step = STEPS[key];
  if (step && (onCanvas || (step[0] && target.tagName !== "SELECT"))) moved(step, event.shiftKey);
  else if (key === "[" || key === "]") go(wanted + (key === "]" ? 1 : -1));
  else if (key === "+" || key === "=" || key === "-") {
    part.top.value = Number(part.top.value) + (key === "-" ? -1 : 1);
    draw();
  } else if (key === "Escape") moveRead(null);
  else return;
  event.preventDefault();
}

function fail(sentence) {
  part.wrong.textContent = sentence;
  part.wrong.hidden = false;
}

const damaged = (error) => fail(`This page is damaged: ${error.message}.`);
const go = (index) => show(index).catch(damaged);

async function begin() {
  if (!("DecompressionStream" in window)) {
    fail("This browser is too old to unpack the weights: Chrome 80, Firefox 113, Safari 16.4 or later can.");
    return;
  }
  await Promise.all(images.map((image) => image.decode()));
  part.block.replaceChildren(
    ...page.layers.map((layer, index) => new Option(`${layer.site}: ${layer.block} (${layer.kind})`, String(index))),
  );
  await show(0);
  const layer = layerNow();
  const first = layer.parts[partAt(layer, chosen.at) ?? 0];
  moveQuery(centreOf(first.frame, layer.grid, cellAt(first.frame, layer.grid, chosen.at)));
  part.block.addEventListener("change", () => go(Number(part.block.value)));
  part.previous.addEventListener("click", () => go(wanted - 1));
  part.next.addEventListener("click", () => go(wanted + 1));
  for (const slider of [part.threshold, part.top]) slider.addEventListener("input", draw);
  for (const canvas of [part.stage, part.strip]) {
    canvas.addEventListener("click", clicked);
    canvas.addEventListener("pointermove", hovered);
    canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && moveRead(null));
  }
  for (const kind of ["click", "pointermove"]) {
    part.bars.addEventListener(kind, overBars);
    part.covariance.addEventListener(kind, overCovariance);
  }
  document.addEventListener("keydown", pressed);
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  part.stage.focus({ preventScroll: true });
  document.documentElement.dataset.ready = "true";
}

begin().catch(damaged);
