/* The curves, the counters, the time axis, and the whole view. */

/* Tasks in progress and on a CPU, one number of each a pixel. */
function loadOf(recording) {
  const progress = new Columns();
  const running = new Columns();
  if (recording.load) {
    const length = recording.wall / (recording.load.length / 2);
    for (let i = 0; i < recording.load.length; i += 2) {
      const x = xOf(i / 2 * length);
      const to = xOf((i / 2 + 1) * length);
      if (to < LEFT || x > wide - RIGHT) continue;
      progress.add(x, to, recording.load[i] / 100);
      running.add(x, to, recording.load[i + 1] / 100);
    }
    return { progress: progress.sum, running: running.sum };
  }
  for (const lane of recording.lanes) {
    for (const row of lane.rowsOfBars) {
      eachWithin(row, row.bars, view.from, view.to, bar => progress.add(xOf(bar.begin),
        xOf(bar.end), bar.busy / Math.max(1, bar.end - bar.begin)));
    }
    eachWithin(lane.strips, lane.strips.strips, view.from, view.to, strip => strip.parts[0] > 0 &&
      running.add(xOf(strip.begin), xOf(strip.end), strip.parts[0]));
  }
  return { progress: progress.sum, running: running.sum };
}

/* 1, 2, 5, 10, ...: the least that makes at most so many pieces. */
function stepOf(length, pieces) {
  for (let ten = 10 ** Math.floor(Math.log10(Math.max(length / pieces, 1e-9))); ; ten *= 10) {
    for (const factor of [1, 2, 5]) {
      if (length / (ten * factor) <= pieces) return ten * factor;
    }
  }
}

/* A step curve through the columns, as a path from the bottom. */
function pathOf(columns, end, bottom, size, top) {
  const path = new Path2D();
  let last = -1;
  path.moveTo(LEFT, bottom);
  columns.forEach((value, at) => {
    if (value === last || LEFT + at >= end) return;
    const y = bottom - size * Math.min(1, value / top);
    path.lineTo(LEFT + at, last < 0 ? bottom : bottom - size * Math.min(1, last / top));
    path.lineTo(LEFT + at, y);
    last = value;
  });
  path.lineTo(end, bottom - size * Math.min(1, last / top));
  path.lineTo(end, bottom);
  return path;
}

function drawCurves({ recording }, y, size) {
  const { progress, running } = loadOf(recording);
  const top = Math.max(1, Math.ceil(progress.reduce((most, value) => Math.max(most, value), 0) - 0.01));
  const bottom = y + size;
  const room = size - 8;
  write("concurrency", 20, y + 18, NAME_FONT, look.text);
  write("tasks in progress", 20, y + 33, LABEL_FONT, look.soft);
  write("parallelism", 20, y + 58, NAME_FONT, look.got);
  write("tasks on a CPU", 20, y + 73, LABEL_FONT, look.soft);
  const step = Math.max(1, stepOf(top, 4));
  pen.textAlign = "right";
  for (let value = 0; value <= top; value += step) {
    const line = Math.round(bottom - room * value / top) - 0.5;
    pen.fillStyle = look.grid;
    pen.fillRect(LEFT, line, wide - LEFT - RIGHT, 1);
    write(value.toLocaleString("en"), LEFT - 8, line + 4, LABEL_FONT, look.soft);
  }
  pen.textAlign = "left";
  const end = Math.max(LEFT, Math.min(wide - RIGHT, xOf(recording.wall)));
  const outer = pathOf(progress, end, bottom, room, top);
  clipped(() => {
    pen.fillStyle = look.not;
    pen.fill(outer);
    pen.fillStyle = look.got;
    pen.fill(pathOf(running, end, bottom, room, top));
    pen.strokeStyle = look.curve;
    pen.lineWidth = 1.4;
    pen.stroke(outer);
  });
}

function drawCounter({ recording, counter }, y) {
  const { values } = counter;
  let low = 0;
  let most = 0;
  for (let i = 1; i < values.length; i += 2) {
    low = Math.min(low, values[i]);
    most = Math.max(most, values[i]);
  }
  pen.font = LABEL_FONT;
  write(fit(counter.name, LEFT - 40), 20, y + 14, LABEL_FONT, look.text);
  write(low.toLocaleString("en") + " to " + most.toLocaleString("en"), 20, y + 29, LABEL_FONT, look.soft);
  const end = Math.min(wide - RIGHT, xOf(recording.wall));
  pen.fillStyle = look.lane;
  if (end > LEFT) pen.fillRect(LEFT, y, end - LEFT, 32);
  const heightOf = value => y + 31 - 30 * (value - low) / Math.max(1, most - low);
  clipped(() => {
    pen.beginPath();
    for (let i = 0; i < values.length; i += 2) {
      const x = xOf(values[i]);
      if (i > 0) pen.lineTo(x, heightOf(values[i - 1]));
      pen.lineTo(x, heightOf(values[i + 1]));
    }
    pen.lineTo(xOf(recording.wall), heightOf(values[values.length - 1]));
    pen.strokeStyle = look.worker[0];
    pen.lineWidth = 1.4;
    pen.stroke();
  });
}

function drawAxis() {
  const length = view.to - view.from;
  const step = stepOf(length, Math.max(2, (wide - LEFT - RIGHT) / 110));
  const [unit, name] = UNITS.find(([size]) => view.to >= 2 * size) || UNITS[3];
  const decimals = Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9));
  pen.fillStyle = look.page;
  pen.fillRect(0, 0, wide, AXIS);
  pen.textAlign = "center";
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
    const x = xOf(at);
    pen.fillStyle = look.soft;
    pen.fillRect(Math.round(x), AXIS - 6, 1, 6);
    const text = (at / unit).toFixed(decimals) + " " + name;
    pen.font = LABEL_FONT;
    const half = pen.measureText(text).width / 2;
    write(text, Math.min(x, wide - half - 4), AXIS - 11, LABEL_FONT, look.soft);
  }
  pen.textAlign = "left";
  pen.fillStyle = look.soft;
  pen.fillRect(LEFT, AXIS - 1, wide - LEFT - RIGHT, 1);
}

/* Where the shorter of two recordings ends. */
function drawEnd(recording, y, to) {
  const x = xOf(recording.wall);
  if (x < LEFT || x > wide - RIGHT + 1) return;
  pen.strokeStyle = look.soft;
  pen.lineWidth = 1;
  pen.setLineDash([4, 3]);
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x, to);
  pen.stroke();
  pen.setLineDash([]);
}

const drawing = {
  title({ recording }, y) {
    pen.font = "bold 13px system-ui, 'DejaVu Sans', Verdana, sans-serif";
    const beside = 32 + pen.measureText(recording.headline).width;
    write(recording.headline, 20, y + 20, pen.font, look.text);
    write(recording.verdict.toLowerCase(), beside, y + 20, LABEL_FONT, look.soft);
  },
  gap() {},
  more({ recording }, y) {
    write("and " + recording.more.toLocaleString("en") + " more workers, less busy than these",
      LEFT, y + 14, LABEL_FONT, look.soft);
  },
  curves: drawCurves,
  processor: drawProcessor,
  lane: drawLane,
  counter: drawCounter,
};

function draw() {
  const shift = AXIS - stage.scrollTop;
  pen.fillStyle = look.page;
  pen.fillRect(0, 0, wide, high);
  for (const band of bands) {
    const y = band.y + shift;
    if (y + band.high > AXIS && y < high) drawing[band.kind](band, y, band.high);
  }
  for (const recording of recordings) {
    const mine = bands.filter(band => band.recording === recording && band.kind !== "title");
    const last = mine[mine.length - 1];
    drawEnd(recording, Math.max(AXIS, mine[0].y + shift), last.y + last.high + shift);
  }
  drawAxis();
  document.getElementById("range").textContent = momentText(view.from, view.to - view.from) +
    " \u2013 " + momentText(view.to, view.to - view.from) + " of " + timeText(longest);
}

let asked = false;

/* Draws before the next frame, once however often it is asked for. */
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    draw();
  });
}
