"use strict";
// The page: what is chosen (block, query, cell that is read), what is drawn for it, and what changes it.

const page = JSON.parse(document.getElementById("data").textContent);
const part = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (element) => [element.id, element]));
const images = page.pictures.map(({ source }) => Object.assign(new Image(), { src: source }));
const chosen = { layer: 0, at: [...page.start], panel: 0, read: null, pair: null };
const matrices = new Map();
const hasMap = (layer) => layer.kind !== "channel";
const pairwise = (layer) => layer.kind === "pairwise";
let wanted = 0;
let places = { stage: null, strip: [] };

const layerNow = () => page.layers[chosen.layer];
const queryCell = (layer) => cellAt(layer.frame, layer.grid, chosen.at, layer.region);
const keySlice = (layer, panel) => cellAt(layer.key_frame, layer.keys, [layer.panels[panel].time, 0, 0], false)[0];
const panelAt = (layer, time) => {
  const away = layer.panels.map((panel) => Math.abs(panel.time - time));
  return away.indexOf(Math.min(...away));
};

function weightsNow() {
  const [layer, matrix] = [layerNow(), matrices.get(chosen.layer).rows];
  if (!pairwise(layer)) return rowOf(matrix, 0);
  const cell = queryCell(layer);
  return cell && rowOf(matrix, flat(cell, layer.grid));
}

// The cell that is read: the chosen one, or that under the query; of gates, the first channel.
function readCell(layer) {
  if (!hasMap(layer)) return chosen.read ?? [0, 0, 0];
  return chosen.read ?? cellAt(layer.key_frame, layer.keys, chosen.at, false);
}

function draw() {
  const [layer, weights] = [layerNow(), weightsNow()];
  const limit = weights ? largestOf(weights) : 0;
  const least = (Number(part.threshold.value) / 100) * limit;
  part["threshold-value"].value = `${part.threshold.value} %`;
  part["top-value"].value = part.top.value;
  const top = weights ? strongest(weights, pairwise(layer) ? Number(part.top.value) : 5, hasMap(layer) ? least : 0) : [];
  drawPictures(layer, weights, limit, least, top);
  drawGates(layer, weights);
  write(layer, weights, limit, top);
}

function drawPictures(layer, weights, limit, least, top) {
  const wide = part.pictures.clientWidth;
  const width = Math.floor(Math.min(wide, (Math.max((page.clip ? 0.5 : 0.72) * window.innerHeight, 260) * page.size[1]) / page.size[0]));
  const stage = { panel: chosen.panel, x: 0, y: 0, width, height: (width * page.size[0]) / page.size[1] };
  places = { stage, strip: page.clip ? stripPlaces(layer, wide) : [] };
  const pens = [[prepared(part.stage, stage.width, stage.height), [stage]]];
  part.strip.hidden = !page.clip;
  if (page.clip) {
    const last = places.strip[places.strip.length - 1];
    pens.push([prepared(part.strip, wide, last.y + last.height), places.strip]);
  }
  for (const [pen, shown] of pens) {
    for (const place of shown) drawPanel(pen, place, layer, weights, limit, least);
    if (pairwise(layer) && weights) drawArrows(pen, shown, layer, weights, limit, top);
  }
  part.legend.hidden = !hasMap(layer);
  if (hasMap(layer)) drawScale(part.scale, layer.signed);
  part.lowest.textContent = digits(layer.signed ? -limit : least);
  part.highest.textContent = digits(limit);
}

function stripPlaces(layer, wide) {
  const gap = 6;
  const count = layer.panels.length;
  const columns = Math.min(count, Math.max(2, Math.floor(wide / 190)));
  const width = Math.min(Math.floor((wide - gap * (columns - 1)) / columns), 280);
  const height = Math.round((width * page.size[0]) / page.size[1]);
  return layer.panels.map((_, panel) => ({
    panel,
    x: (panel % columns) * (width + gap),
    y: Math.floor(panel / columns) * (height + gap),
    width,
    height,
  }));
}

function drawPanel(pen, place, layer, weights, limit, least) {
  drawPicture(pen, place, images[layer.panels[place.panel].picture], hasMap(layer));
  if (hasMap(layer) && weights) {
    const slice = keySlice(layer, place.panel);
    drawHeat(pen, place, layer, heat(weights, layer.keys, slice, limit, least, layer.signed));
    const read = readCell(layer);
    if (chosen.read && read[0] === slice) outlined(pen, rectangle(place, layer.key_frame, layer.keys, read), READ, 1.5);
  }
  if (pairwise(layer) && place.panel === panelAt(layer, chosen.at[0])) {
    const cell = queryCell(layer);
    if (cell) outlined(pen, rectangle(place, layer.frame, layer.grid, cell), QUERY, 1.5);
    drawCross(pen, onCanvas(place, chosen.at[1], chosen.at[2]), 7);
  }
  if (page.clip) drawLabel(pen, place, `frame ${page.pictures[layer.panels[place.panel].picture].time}`);
}

// Arrows go from the query to the centres of the keys, in the panels that are drawn.
function drawArrows(pen, shown, layer, weights, limit, top) {
  const from = shown.find((place) => place.panel === panelAt(layer, chosen.at[0]));
  if (!from) return;
  for (const key of [...top].reverse()) {
    const point = centreOf(layer.key_frame, layer.keys, unflat(key, layer.keys));
    const to = shown.find((place) => place.panel === panelAt(layer, point[0]));
    if (to) drawArrow(pen, onCanvas(from, chosen.at[1], chosen.at[2]), onCanvas(to, point[1], point[2]), weights[key] / limit);
  }
}

function drawGates(layer, weights) {
  const values = matrices.get(chosen.layer).covariance;
  part.gates.hidden = hasMap(layer);
  part.matrix.hidden = !values;
  const wide = part.pictures.clientWidth;
  if (!hasMap(layer)) {
    drawBars(part.bars, wide, weights, readCell(layer)[2]);
    part["gates-said"].textContent =
      `Gates of ${weights.length} channels, from ${digits(Math.min(...weights))} to ${digits(Math.max(...weights))}`;
  }
  if (values) {
    const limit = largestOf(values);
    drawMatrix(part.covariance, Math.min(wide, 360), values, limit);
    const count = Math.sqrt(values.length);
    const [row, column] = chosen.pair ?? [0, 0];
    part["matrix-said"].textContent =
      `Covariance of ${count} x ${count} channels, from ${digits(-limit)} (blue) to ${digits(limit)} (red); ` +
      `${digits(values[row * count + column])} of channels ${row} and ${column}`;
  }
}

// Unpacking takes a moment, and the block that was chosen last is shown.
async function show(index) {
  const mine = (wanted = (index + page.layers.length) % page.layers.length);
  const layer = page.layers[mine];
  if (!matrices.has(mine)) {
    const [rows, covariance] = await Promise.all([unpacked(layer.rows), layer.covariance && unpacked(layer.covariance)]);
    matrices.set(mine, { rows, covariance: covariance && allOf(covariance) });
  }
  if (mine !== wanted) return;
  chosen.layer = mine;
  chosen.read = chosen.pair = null;
  chosen.panel = panelAt(layer, chosen.at[0]);
  part.block.value = String(chosen.layer);
  part.says.replaceChildren(
    ...layer.says.map((sentence) => Object.assign(document.createElement("li"), { textContent: sentence })),
  );
  part["threshold-row"].hidden = !hasMap(layer);
  part["top-row"].hidden = part.taps.hidden = !pairwise(layer);
  draw();
}

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
  if (!pairwise(layer)) chosen.panel = panelAt(layer, point[0]);
  const reads = !pairwise(layer) || document.querySelector("input[name=tap]:checked").value === "read";
  if (!reads) moveQuery(point);
  else if (hasMap(layer)) moveRead(cellAt(layer.key_frame, layer.keys, point, false));
  else draw();
}

function hovered(event) {
  const layer = layerNow();
  if (event.pointerType !== "mouse" || !hasMap(layer)) return;
  const point = pointAt(event);
  const cell = point && cellAt(layer.key_frame, layer.keys, point, false);
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
  if (!pairwise(layer) || reading) {
    if (step[0] && hasMap(layer)) chosen.panel = clamped(chosen.panel + step[0], layer.panels.length);
    moveRead(stepped(readCell(layer), layer.keys, step));
    return;
  }
  const cell = queryCell(layer) ?? layer.grid.map((count) => count >> 1);
  moveQuery(centreOf(layer.frame, layer.grid, stepped(cell, layer.grid, step)));
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
  moveQuery(centreOf(layer.frame, layer.grid, queryCell(layer) ?? [0, 0, 0]));
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
