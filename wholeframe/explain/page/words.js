"use strict";
// What is chosen, in words and numbers.

// A thinned grid shows the middle cell of each patch of queries, and the sum over each patch of keys.
const told = (cell, axes) => `(${(page.clip ? cell : cell.slice(1)).join(", ")}) of ${(page.clip ? axes : axes.slice(1)).join(" x ")}`;
const queryTold = (layer, cell) =>
  told(cell.map((at, axis) => (axis ? Math.min(at * layer.step + (layer.step >> 1), layer.cells[axis] - 1) : at)), layer.cells);
const keyTold = (layer, cell) =>
  told(
    cell.map((at, axis) => {
      const last = Math.min((at + 1) * layer.key_step, layer.key_cells[axis]) - 1;
      return axis && layer.key_step > 1 ? `${at * layer.key_step} to ${last}` : at;
    }),
    layer.key_cells,
  );

function pointTold(point) {
  const [y, x] = point.slice(1).map((side) => Math.round(10 * side) / 10);
  return `${page.clip ? `frame ${Math.round(10 * point[0]) / 10}, ` : ""}y ${y}, x ${x}`;
}

const pixelOf = (point) => point.slice(1).map((side, axis) => clamped(Math.floor(side), page.size[axis]));

// A flat map has one colour everywhere, until the threshold lets the colours span its differences.
function writeFlat(layer, weights, limit) {
  const least = weights && limit ? (100 * Math.min(...weights)) / limit : 0;
  part.flat.hidden = !hasMap(layer) || layer.signed || least < 80 || Number(part.threshold.value) >= Math.floor(least);
  part.flat.textContent =
    `All weights lie between ${digits(least)} % and 100 % of the largest: ` +
    `hide those below ${Math.floor(least)} % to see their differences.`;
}

function write(layer, weights, limit, top) {
  writeFlat(layer, weights, limit);
  const name = `${layer.block} at ${layer.site}`;
  const pixel = `${page.clip ? `frame ${Math.floor(chosen.at[0])}, ` : ""}pixel y ${pixelOf(chosen.at).join(", x ")}`;
  part.query.textContent = !moves(layer)
    ? "none: this block has the same weights for every query"
    : !weights
      ? `${pixel}; outside the regions that this block sees`
      : pairwise(layer)
        ? `${pixel}; cell ${queryTold(layer, queryCell(layer))}`
        : `${pixel}, which chooses the part`;
  part.stage.setAttribute("aria-label", `Map of ${name}. Arrow keys move the query.`);
  part.strip.setAttribute("aria-label", `The ${layer.panels.length} frames of the map of ${name}`);
  part.bars.setAttribute("aria-label", `Gates of ${name}. Arrow keys go through the channels.`);
  part["reading-name"].textContent = hasMap(layer) ? "Weight" : "Gate";
  part["largest-name"].textContent = hasMap(layer) ? "Largest weights" : "Largest gates";
  const where = (key) =>
    hasMap(layer)
      ? `cell ${keyTold(layer, key)}, centre ${pointTold(centreOf(partNow(layer).key_frame, layer.keys, key))}`
      : `channel ${key[2]} of ${layer.keys[2]}`;
  const share = (weight) => (limit ? `${digits((100 * weight) / limit)} % of the largest` : "all are 0");
  part.reading.textContent = "";
  part.largest.replaceChildren();
  if (!weights) return;
  const read = readCell(layer);
  const weight = weights[flat(read, layer.keys)];
  part.reading.textContent = `${digits(weight)} (${share(weight)}) at ${where(read)}`;
  part.reading.dataset.weight = weight;
  for (const key of top.slice(0, 5)) {
    const item = document.createElement("li");
    item.textContent = `${digits(weights[key])} at ${where(unflat(key, layer.keys))}`;
    part.largest.append(item);
  }
}
