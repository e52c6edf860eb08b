/* Drawing what lies between view.from and view.to. A bar narrower than a pixel
 * goes into its column, which becomes as high as the column is busy. */

const LEFT = 150;
const RIGHT = 20;
const AXIS = 28;
const BAR = 40;
const DEEPER = 15;
const STRIP = 20;
const SPAN = 13;
const TITLE = 30;
const LABEL_FONT = "11px system-ui, 'DejaVu Sans', Verdana, sans-serif";
const NAME_FONT = "bold 12px system-ui, 'DejaVu Sans', Verdana, sans-serif";

const canvas = document.getElementById("canvas");
const stage = document.getElementById("stage");
const pen = canvas.getContext("2d");
const view = { from: 0, to: longest, chosen: null, found: new Set() };
let look = {};
let wide = 0;
let high = 0;

/* The bands from top to bottom: {kind, y, high} and what they show. */
const bands = [];
let contentHigh = 0;

function addBand(kind, size, what) {
  bands.push({ kind, y: contentHigh, high: size, ...what });
  contentHigh += size;
}

for (const recording of recordings) {
  if (recordings.length > 1) addBand("title", TITLE, { recording });
  else addBand("gap", 6, {});
  addBand("curves", 96, { recording });
  addBand("gap", 8, {});
  for (const processor of recording.processors) addBand("processor", 22, { recording, processor });
  addBand("gap", 6, {});
  for (const lane of recording.lanes) {
    addBand("lane", BAR + 4 + DEEPER * (lane.rows - 1) + SPAN * lane.spanRows, { recording, lane });
    addBand("gap", 8, {});
  }
  if (recording.more > 0) addBand("more", 24, { recording });
  for (const counter of recording.counters) addBand("counter", 42, { recording, counter });
  addBand("gap", 16, {});
}

function xOf(time) {
  return LEFT + (time - view.from) / (view.to - view.from) * (wide - LEFT - RIGHT);
}

function timeAt(x) {
  return view.from + (x - LEFT) / (wide - LEFT - RIGHT) * (view.to - view.from);
}

function hatch(colour, rising) {
  const size = 6;
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const tool = tile.getContext("2d");
  tool.strokeStyle = colour;
  tool.lineWidth = 1.6;
  for (const shift of [-size, 0, size]) {
    tool.beginPath();
    tool.moveTo(shift - 1, rising ? size + 1 : -1);
    tool.lineTo(shift + size + 1, rising ? -1 : size + 1);
    tool.stroke();
  }
  return pen.createPattern(tile, "repeat");
}

/* Reads the colours of the theme. */
function readLook() {
  const style = getComputedStyle(document.documentElement);
  const value = name => style.getPropertyValue("--" + name).trim();
  look = {};
  for (const name of ["page", "text", "soft", "lane", "grid", "critical", "got", "not", "curve",
    "found", "lock"]) look[name] = value(name);
  look.pale = Number(value("pale"));
  look.worker = [0, 1, 2, 3, 4, 5, 6].map(index => value("worker-" + index));
  look.idleHatch = hatch(value("idle"), true);
  look.lockHatch = hatch(value("lock"), true);
  look.waitHatch = hatch(value("wait"), false);
}

/* The text's start that fits. */
function fit(text, room) {
  if (pen.measureText(text).width <= room) return text;
  let length = Math.min(text.length, Math.floor(room / 4));
  while (length > 0 && pen.measureText(text.slice(0, length) + "\u2026").width > room) length--;
  return length > 1 ? text.slice(0, length) + "\u2026" : "";
}

function write(text, x, y, font, colour) {
  pen.font = font;
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

/* One number a pixel of the view, for what is too narrow to be drawn. */
class Columns {
  constructor() {
    this.sum = new Float64Array(wide - LEFT - RIGHT + 1);
    this.any = false;
  }

  add(from, to, part) {
    const last = this.sum.length - 1;
    const begin = Math.max(0, from - LEFT);
    const end = Math.min(last, to - LEFT);
    this.any = true;
    for (let at = Math.floor(begin); at < end; at++) {
      this.sum[at] += (Math.min(end, at + 1) - Math.max(begin, at)) * part;
    }
  }

  /* Calls with x and what the column holds, at most 1. */
  each(call) {
    if (!this.any) return;
    this.sum.forEach((sum, at) => {
      if (sum > 0.004) call(LEFT + at, Math.min(1, sum));
    });
  }
}

function drawIdle(lane, y, size) {
  const { bars, reach } = lane.rowsOfBars[0];
  const first = firstAfter(lane.rowsOfBars[0], view.from);
  let since = Math.max(lane.begin, first > 0 ? reach[first - 1] : lane.begin);
  pen.fillStyle = look.idleHatch;
  const gap = until => {
    const from = Math.max(LEFT, xOf(since));
    const to = Math.min(wide - RIGHT, xOf(until));
    if (to - from >= 0.7) pen.fillRect(from, y, to - from, size);
  };
  let index = first;
  for (; index < bars.length && since < view.to; index++) {
    gap(bars[index].begin);
    since = Math.max(since, bars[index].end);
  }
  if (index === bars.length) gap(lane.end);
}

function drawLabel(lane, bar, x, to, top) {
  const from = Math.max(LEFT, x);
  const room = Math.min(to, wide - RIGHT) - from - 8;
  if (bar.count > 1 || room < 12) return;
  pen.font = LABEL_FONT;
  const name = fit(lane.recording.names[bar.names[0]], room);
  if (name !== "") write(name, from + 5, top + 13, LABEL_FONT, look.text);
}

function drawBar(lane, bar, top, bottom) {
  const x = xOf(bar.begin);
  const to = xOf(bar.end);
  const share = bar.end > bar.begin ? bar.busy / (bar.end - bar.begin) : 1;
  const size = (bottom - top) * share;
  pen.globalAlpha = look.pale;
  pen.fillStyle = look.worker[lane.colour];
  pen.fillRect(x, bottom - size, to - x, size);
  pen.globalAlpha = 1;
  if (bar.count === 1 && to - x > 4) {
    pen.lineWidth = 1;
    pen.setLineDash(bar.flags & UNFINISHED ? [4, 3] : []);
    pen.strokeStyle = look.worker[lane.colour];
    pen.strokeRect(x + 0.5, top + 0.5, to - x - 1, bottom - top - 1);
    pen.setLineDash([]);
  }
  drawLabel(lane, bar, x, to, top);
}

/* Goes over the strips: the chosen bar, matches and the critical path. */
function drawOutline(lane, bar, top, bottom) {
  const x = Math.max(LEFT - 4, xOf(bar.begin));
  const size = Math.max(1.5, Math.min(wide, xOf(bar.end)) - x);
  if (bar.flags & CRITICAL) {
    pen.strokeStyle = look.critical;
    pen.lineWidth = 2;
    if (bar.count === 1 && size > 4) pen.strokeRect(x + 1, top + 1, size - 2, bottom - top - 2);
    else pen.strokeRect(x, top + 1, size, 0);
  }
  if (bar.flags & FAILED) {
    pen.fillStyle = look.lock;
    pen.fillRect(x + size - 3, top, 3, bottom - top);
  }
  if (view.found.has(bar)) {
    pen.fillStyle = look.found;
    pen.fillRect(x, top, size, 3);
    pen.fillRect(x, bottom - 3, size, 3);
  }
  if (view.chosen && view.chosen.bar === bar) {
    pen.strokeStyle = look.found;
    pen.lineWidth = 2.5;
    pen.strokeRect(x, top, size, bottom - top);
  }
}

function drawStrips(lane, bottom) {
  const columns = [new Columns(), new Columns(), new Columns()];
  const fills = [look.worker[lane.colour], look.lockHatch, look.waitHatch];
  const piece = (x, size, parts) => {
    let below = 0;
    parts.forEach((part, kind) => {
      if (part === 0) return;
      const from = Math.min(below, 1 - Math.min(1, part));
      pen.fillStyle = fills[kind];
      pen.fillRect(x, bottom - STRIP * (from + part), size, STRIP * part);
      below += part;
    });
  };
  eachWithin(lane.strips, lane.strips.strips, view.from, view.to, strip => {
    const x = xOf(strip.begin);
    const to = xOf(strip.end);
    if (to - x >= 1.5) piece(x, to - x, strip.parts);
    else strip.parts.forEach((part, kind) => part > 0 && columns[kind].add(x, to, part));
  });
  columns[0].each((x, part) => piece(x, 1, [part, 0, 0]));
  columns[1].each((x, part) => piece(x, 1, [0, part, 0]));
  columns[2].each((x, part) => piece(x, 1, [0, 0, part]));
}

function drawRow(lane, row, top, bottom) {
  const columns = new Columns();
  const { bars } = lane.rowsOfBars[row];
  eachWithin(lane.rowsOfBars[row], bars, view.from, view.to, bar => {
    const x = xOf(bar.begin);
    const to = xOf(bar.end);
    if (to - x >= 1) drawBar(lane, bar, top, bottom);
    else columns.add(x, Math.max(to, x + 0.02), bar.busy / Math.max(1, bar.end - bar.begin));
  });
  pen.globalAlpha = look.pale;
  pen.fillStyle = look.worker[lane.colour];
  columns.each((x, part) => pen.fillRect(x, bottom - (bottom - top) * part, 1,
    (bottom - top) * part));
  pen.globalAlpha = 1;
}

function drawSpans(lane, y) {
  eachWithin(lane.spans, lane.spans.spans, view.from, view.to, span => {
    const x = Math.max(LEFT, xOf(span.begin));
    const size = Math.max(1, xOf(span.end) - x);
    const top = y + 1 + SPAN * span.depth;
    pen.fillStyle = look.grid;
    pen.fillRect(x, top, size, SPAN - 2);
    pen.strokeStyle = look.soft;
    pen.lineWidth = 0.6;
    pen.strokeRect(x, top, size, SPAN - 2);
    if (size > 20) {
      pen.font = "9px system-ui, 'DejaVu Sans', Verdana, sans-serif";
      write(fit(lane.recording.names[span.name], size - 6), x + 4, top + 9, pen.font, look.text);
    }
  });
}

function drawMarks(lane, y) {
  pen.fillStyle = look.text;
  for (const mark of lane.marks) {
    const x = xOf(mark.at);
    if (x < LEFT || x > wide - RIGHT) continue;
    pen.beginPath();
    pen.moveTo(x - 4, y - 2);
    pen.lineTo(x + 4, y - 2);
    pen.lineTo(x, y + 5);
    pen.fill();
  }
}

function laneAbout(lane) {
  if (lane.kind === "process") return "process " + lane.pid;
  return lane.kind === "main" ? "main of " + lane.pid : "thread " + lane.tid;
}

/* Draws with what lies left and right of the plot cut off. */
function clipped(draw) {
  pen.save();
  pen.beginPath();
  pen.rect(LEFT - 2, 0, wide - LEFT - RIGHT + 4, high);
  pen.clip();
  draw();
  pen.restore();
}

function drawLane({ lane }, y, size) {
  const bottom = y + size - 2;
  const bars = y + 2 + SPAN * lane.spanRows;
  const end = Math.min(wide - RIGHT, xOf(lane.recording.wall));
  pen.fillStyle = look.lane;
  if (end > LEFT) pen.fillRect(LEFT, y, end - LEFT, size);
  clipped(() => {
    drawIdle(lane, y, size);
    lane.rowsOfBars.forEach((_, row) => drawRow(lane, row, bars + DEEPER * row, bottom));
    drawStrips(lane, bottom);
    lane.rowsOfBars.forEach((entries, row) => eachWithin(entries, entries.bars, view.from, view.to,
      bar => drawOutline(lane, bar, bars + DEEPER * row, bottom)));
    drawSpans(lane, y);
    drawMarks(lane, bars);
  });
  pen.fillStyle = look.worker[lane.colour];
  pen.fillRect(20, y + 10, 8, 8);
  pen.font = NAME_FONT;
  write(fit(lane.name, LEFT - 44), 34, y + 18, NAME_FONT, look.text);
  write(laneAbout(lane), 34, y + 34, LABEL_FONT, look.soft);
}

function drawProcessor({ recording, processor }, y) {
  write("CPU " + processor.number, 34, y + 13, LABEL_FONT, look.text);
  pen.fillStyle = look.lane;
  const end = Math.min(wide - RIGHT, xOf(recording.wall));
  if (end > LEFT) pen.fillRect(LEFT, y, end - LEFT, 18);
  clipped(() => {
    const columns = look.worker.map(() => new Columns());
    eachWithin(processor.turns, processor.turns.turns, view.from, view.to, turn => {
      const x = xOf(turn.begin);
      const to = xOf(turn.end);
      const part = Math.min(1, turn.on / (turn.end - turn.begin));
      const colour = turn.lane < 0 ? 6 : turn.lane % 6;
      if (to - x < 1.5) {
        columns[colour].add(x, to, part);
        return;
      }
      pen.fillStyle = look.worker[colour];
      pen.fillRect(x, y + 18 * (1 - part), to - x, 18 * part);
    });
    const below = new Float64Array(wide);
    columns.forEach((column, colour) => {
      pen.fillStyle = look.worker[colour];
      column.each((x, part) => {
        pen.fillRect(x, y + 18 * (1 - Math.min(1, below[x] + part)), 1, 18 * part);
        below[x] += part;
      });
    });
  });
}
