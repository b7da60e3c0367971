"use strict";
// What is chosen (block, query, cell that is read), and the drawing of it.

const page = JSON.parse(document.getElementById("data").textContent);
const part = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (element) => [element.id, element]));
const images = page.pictures.map(({ source }) => Object.assign(new Image(), { src: source }));
const chosen = { layer: 0, at: [...page.start], panel: 0, read: null, pair: null };
const matrices = new Map();
const hasMap = (layer) => layer.kind !== "channel";
const pairwise = (layer) => layer.kind === "pairwise";
const moves = (layer) => pairwise(layer) || layer.parts.length > 1;
let wanted = 0;
let places = { stage: null, strip: [] };

const layerNow = () => page.layers[chosen.layer];
const partNow = (layer) => layer.parts[partAt(layer, chosen.at)] ?? null;
const queryCell = (layer) => cellAt(partNow(layer).frame, layer.grid, chosen.at);
const panelAt = (layer, time) => {
  const away = layer.panels.map((panel) => Math.abs(panel.time - time));
  return away.indexOf(Math.min(...away));
};

// The keys of a panel, as their cell in time; null where the part that is shown has none.
function keySlice(layer, panel) {
  const [time, [start, end]] = [layer.panels[panel].time, partNow(layer).key_frame[0]];
  const missed = layer.parts.length > 1 && (time < start || time >= end);
  return missed ? null : cellAt(partNow(layer).key_frame, layer.keys, [time, 0, 0])[0];
}

// The weights at the query; null outside the regions of a detector.
function weightsNow() {
  const [layer, matrix] = [layerNow(), matrices.get(chosen.layer).rows];
  const part = partAt(layer, chosen.at);
  if (part === null) return null;
  if (!pairwise(layer)) return rowOf(matrix, part);
  return rowOf(matrix, part * layer.grid[0] * layer.grid[1] * layer.grid[2] + flat(queryCell(layer), layer.grid));
}

// The cell that is read: the chosen one, or that under the query; of gates, the first channel.
function readCell(layer) {
  if (!hasMap(layer)) return chosen.read ?? [0, 0, 0];
  return chosen.read ?? cellAt(partNow(layer).key_frame, layer.keys, chosen.at);
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
  const slice = hasMap(layer) && weights ? keySlice(layer, place.panel) : null;
  if (slice !== null) {
    const { key_frame } = partNow(layer);
    const map = heat(weights, layer.keys, slice, limit, least, layer.signed);
    drawHeat(pen, place, key_frame, map, layer.parts.length > 1);
    const read = readCell(layer);
    if (chosen.read && read[0] === slice) outlined(pen, rectangle(place, key_frame, layer.keys, read), READ, 1.5);
  }
  if ((pairwise(layer) || layer.parts.length > 1) && place.panel === panelAt(layer, chosen.at[0])) {
    if (pairwise(layer) && weights) outlined(pen, rectangle(place, partNow(layer).frame, layer.grid, queryCell(layer)), QUERY, 1.5);
    drawCross(pen, onCanvas(place, chosen.at[1], chosen.at[2]), 7);
  }
  if (page.clip) drawLabel(pen, place, `frame ${page.pictures[layer.panels[place.panel].picture].time}`);
}

// Arrows go from the query to the centres of the keys, in the panels that are drawn.
function drawArrows(pen, shown, layer, weights, limit, top) {
  const from = shown.find((place) => place.panel === panelAt(layer, chosen.at[0]));
  if (!from) return;
  for (const key of [...top].reverse()) {
    const point = centreOf(partNow(layer).key_frame, layer.keys, unflat(key, layer.keys));
    const to = shown.find((place) => place.panel === panelAt(layer, point[0]));
    if (to) drawArrow(pen, onCanvas(from, chosen.at[1], chosen.at[2]), onCanvas(to, point[1], point[2]), weights[key] / limit);
  }
}

function drawGates(layer, weights) {
  const values = matrices.get(chosen.layer).covariance;
  part.gates.hidden = hasMap(layer) || !weights;
  part.matrix.hidden = !values;
  const wide = part.pictures.clientWidth;
  if (!hasMap(layer) && weights) {
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
  part["top-row"].hidden = !pairwise(layer);
  part.taps.hidden = !moves(layer) || !hasMap(layer);
  draw();
}
