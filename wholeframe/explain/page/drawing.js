"use strict";
// The drawings of the page, on canvases. A `place` is the rectangle of a canvas, in CSS pixels, that a picture fills.

const ARROW = "#ff9f1c";
const QUERY = "#00e5ff";
const READ = "#ffffff";

function prepared(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

// `share` is 0 to 1 for weights, and -1 to 1 for signed ones.
function colour(share, signed) {
  const table = signed ? page.colours.signed : page.colours.weights;
  const at = signed ? (share + 1) / 2 : share;
  return table[clamped(Math.round(at * (table.length - 1)), table.length)];
}

// Where a weight lies between the threshold and the largest weight: 0 to 1, with its sign, and 0 below the threshold.
function shareOf(weight, limit, least) {
  const size = Math.abs(weight);
  return limit === 0 || size < least ? 0 : limit === least ? Math.sign(weight) : (Math.sign(weight) * (size - least)) / (limit - least);
}

// The map over one frame as a small image of one pixel per cell; small weights are transparent.
function heat(weights, grid, slice, limit, least, signed) {
  const small = document.createElement("canvas");
  [small.height, small.width] = [grid[1], grid[2]];
  const pen = small.getContext("2d");
  const image = pen.createImageData(grid[2], grid[1]);
  const first = slice * grid[1] * grid[2];
  for (let i = 0; i < grid[1] * grid[2]; i++) {
    const share = shareOf(weights[first + i], limit, least);
    const opacity = 0.9 * Math.sqrt(Math.abs(share));
    image.data.set([...colour(share, signed), Math.round(255 * opacity)], 4 * i);
  }
  pen.putImageData(image, 0, 0);
  return small;
}

// From pixels of the picture to those of the canvas.
const onCanvas = (place, y, x) => [
  place.x + (x * place.width) / page.size[1],
  place.y + (y * place.height) / page.size[0],
];

function rectangle(place, frame, grid, cell) {
  const edge = (axis, at) => frame[axis][0] + ((frame[axis][1] - frame[axis][0]) * at) / grid[axis];
  const [left, top] = onCanvas(place, edge(1, cell[1]), edge(2, cell[2]));
  const [right, bottom] = onCanvas(place, edge(1, cell[1] + 1), edge(2, cell[2] + 1));
  return [left, top, right - left, bottom - top];
}

function drawPicture(pen, place, image, grey) {
  pen.drawImage(image, place.x, place.y, place.width, place.height);
  if (grey) {
    pen.globalCompositeOperation = "saturation";
    pen.fillStyle = "#808080";
    pen.fillRect(place.x, place.y, place.width, place.height);
    pen.globalCompositeOperation = "source-over";
  }
}

function drawHeat(pen, place, frame, small, edged) {
  const [, down, across] = frame;
  const [left, top] = onCanvas(place, down[0], across[0]);
  const [right, bottom] = onCanvas(place, down[1], across[1]);
  pen.save();
  pen.beginPath();
  pen.rect(place.x, place.y, place.width, place.height);
  pen.clip();
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, left, top, right - left, bottom - top);
  if (edged) outlined(pen, [left, top, right - left, bottom - top], QUERY, 1.5);
  pen.restore();
}

function outlined(pen, [x, y, width, height], ink, thick) {
  pen.strokeStyle = "#000000";
  pen.lineWidth = thick + 2;
  pen.strokeRect(x, y, width, height);
  pen.strokeStyle = ink;
  pen.lineWidth = thick;
  pen.strokeRect(x, y, width, height);
}

function drawCross(pen, [x, y], size) {
  for (const [ink, thick] of [["#000000", 4], [QUERY, 2]]) {
    pen.strokeStyle = ink;
    pen.lineWidth = thick;
    pen.beginPath();
    pen.moveTo(x - size, y);
    pen.lineTo(x + size, y);
    pen.moveTo(x, y - size);
    pen.lineTo(x, y + size);
    pen.stroke();
  }
}

// Strong weights have wide arrows; those of negative weights are dashed.
function drawArrow(pen, [fromX, fromY], [toX, toY], share) {
  const length = Math.hypot(toX - fromX, toY - fromY);
  if (length < 2) return;
  const angle = Math.atan2(toY - fromY, toX - fromX);
  const head = Math.min(4 + 5 * Math.abs(share), length);
  const wing = (turn) => [toX - head * Math.cos(angle + turn), toY - head * Math.sin(angle + turn)];
  for (const [ink, more] of [["rgba(0, 0, 0, 0.75)", 1.6], [ARROW, 0]]) {
    pen.strokeStyle = ink;
    pen.lineWidth = 0.8 + 2.2 * Math.abs(share) + more;
    pen.setLineDash(share < 0 ? [5, 4] : []);
    pen.beginPath();
    pen.moveTo(fromX, fromY);
    pen.lineTo(toX, toY);
    pen.stroke();
    pen.setLineDash([]);
    pen.beginPath();
    pen.moveTo(...wing(0.5));
    pen.lineTo(toX, toY);
    pen.lineTo(...wing(-0.5));
    pen.stroke();
  }
}

function drawLabel(pen, place, text) {
  pen.font = "12px system-ui, sans-serif";
  const wide = pen.measureText(text).width + 8;
  pen.fillStyle = "rgba(0, 0, 0, 0.7)";
  pen.fillRect(place.x, place.y, wide, 18);
  pen.fillStyle = "#ffffff";
  pen.fillText(text, place.x + 4, place.y + 13);
}

function drawScale(canvas, signed) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const pen = prepared(canvas, width, height);
  canvas.removeAttribute("style");
  for (let x = 0; x < width; x++) {
    const share = signed ? (2 * x) / (width - 1) - 1 : x / (width - 1);
    pen.fillStyle = `rgb(${colour(share, signed).join(" ")})`;
    pen.fillRect(x, 0, 1, height);
  }
}

// A bar per channel, from zero; bars of neighbours overlap where channels outnumber pixels.
function drawBars(canvas, width, weights, read) {
  const height = 160;
  const pen = prepared(canvas, width, height);
  const most = Math.max(...weights, 0);
  const least = Math.min(...weights, 0);
  const level = (value) => (most === least ? height : height - ((value - least) / (most - least)) * height);
  const step = width / weights.length;
  const bar = (channel, ink, wide) => {
    const [value, zero] = [level(weights[channel]), level(0)];
    pen.fillStyle = ink;
    pen.fillRect(channel * step, Math.min(value, zero), wide, Math.max(Math.abs(value - zero), 1));
  };
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--strong");
  weights.forEach((_, channel) => bar(channel, ink, Math.max(step > 4 ? step - 1 : step, 0.7)));
  bar(read, ARROW, Math.max(step, 3));
}

// A square of signed values, flat in `values`, of which the largest magnitude is `limit`.
function drawMatrix(canvas, side, values, limit) {
  const count = Math.sqrt(values.length);
  const pen = prepared(canvas, side, side);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(heat(values, [1, count, count], 0, limit, 0, true), 0, 0, side, side);
}
