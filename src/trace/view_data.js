"use strict";
/* What the recordings say: the flat arrays of the data become columns that can
 * be searched by time. src/trace/html.h has their format. */

const MERGED = 256;
const UNFINISHED = 1;
const ESTIMATED = 2;
const CRITICAL = 4;
const FOLDED = 8;
const FAILED = 16;
const MERGED_NAMES = 4;

const recordings = JSON.parse(document.getElementById("data").textContent).recordings;
const longest = Math.max(1, ...recordings.map(recording => recording.wall));

/* The greatest end so far: it only grows, so that the first entry which reaches
 * into a view is found by halving, however long the entries before are. */
function reachOf(ends) {
  let reach = 0;
  return Float64Array.from(ends, end => (reach = Math.max(reach, end)));
}

/* The index of the first entry that ends after `time`. */
function firstAfter(entries, time) {
  let low = 0;
  let high = entries.reach.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries.reach[middle] > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

function decodeBars(flat) {
  const bars = [];
  let begin = 0;
  for (let at = 0; at < flat.length;) {
    begin += flat[at];
    const bar = { begin, end: begin + flat[at + 1], cpu: flat[at + 2], flags: flat[at + 4] };
    if (bar.flags & MERGED) {
      bar.busy = flat[at + 3];
      bar.count = flat[at + 5];
      const names = at + 7;
      at = names + flat[at + 6];
      bar.names = flat.slice(names, at);
    } else {
      bar.busy = flat[at + 1];
      bar.delay = flat[at + 3];
      bar.count = 1;
      bar.names = [flat[at + 5]];
      at += 6;
    }
    bars.push(bar);
  }
  return { bars, reach: reachOf(bars.map(bar => bar.end)) };
}

function decodeStrips(flat) {
  const strips = [];
  let begin = 0;
  for (let at = 0; at < flat.length;) {
    begin += flat[at];
    const length = flat[at + 1];
    const kind = flat[at + 2];
    const strip = { begin, end: begin + length, parts: [0, 0, 0] };
    at += 3;
    if (kind === 3) {
      for (let i = 0; i < 3; i++) strip.parts[i] = flat[at++] / length;
    } else {
      strip.parts[kind] = 1;
    }
    strips.push(strip);
  }
  return { strips, reach: reachOf(strips.map(strip => strip.end)) };
}

function decodeTurns(flat) {
  const turns = [];
  let begin = 0;
  for (let at = 0; at < flat.length; at += 4) {
    begin += flat[at];
    turns.push({ begin, end: begin + flat[at + 1], on: flat[at + 2], lane: flat[at + 3] });
  }
  return { turns, reach: reachOf(turns.map(turn => turn.end)) };
}

function decodeSpans(flat) {
  const spans = [];
  let begin = 0;
  for (let at = 0; at < flat.length; at += 5) {
    begin += flat[at];
    spans.push({ begin, end: begin + flat[at + 1], depth: Math.min(1, flat[at + 2]),
      name: flat[at + 3], unfinished: flat[at + 4] });
  }
  return { spans, reach: reachOf(spans.map(span => span.end)) };
}

function decodeMarks(flat) {
  const marks = [];
  let at = 0;
  for (let i = 0; i < flat.length; i += 3) {
    at += flat[i];
    marks.push({ at, value: flat[i + 1], name: flat[i + 2] });
  }
  return marks;
}

for (const recording of recordings) {
  recording.lanes.forEach((lane, index) => {
    lane.recording = recording;
    lane.colour = index % 6;
    lane.rowsOfBars = lane.bars.map(decodeBars);
    lane.strips = decodeStrips(lane.strips);
    lane.spans = decodeSpans(lane.spans);
    lane.marks = decodeMarks(lane.marks);
    lane.spanRows = lane.spans.spans.reduce((rows, span) => Math.max(rows, span.depth + 1), 0);
  });
  for (const processor of recording.processors) {
    processor.recording = recording;
    processor.turns = decodeTurns(processor.turns);
  }
}

/* Calls with each entry that reaches into [from, to). */
function eachWithin(entries, list, from, to, call) {
  for (let i = firstAfter(entries, from); i < list.length && list[i].begin < to; i++) {
    if (list[i].end > from || list[i].end === list[i].begin) call(list[i], i);
  }
}

/* All bars that have a name which contains the text, by begin: {lane, row,
 * index}. Merged bars have the names of up to four of their tasks. */
function findTasks(text) {
  const wanted = text.toLocaleLowerCase();
  const found = [];
  if (wanted === "") return found;
  for (const recording of recordings) {
    const named = recording.names.map(name => name.toLocaleLowerCase().includes(wanted));
    for (const lane of recording.lanes) {
      lane.rowsOfBars.forEach(({ bars }, row) => {
        bars.forEach((bar, index) => {
          if (bar.names.some(name => named[name])) found.push({ lane, row, index, bar });
        });
      });
    }
  }
  return found.sort((one, other) => one.bar.begin - other.bar.begin);
}

/* ---- in words */

const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "\u00b5s"], [1, "ns"]];

function timeText(ns) {
  const [unit, name] = UNITS.find(([size]) => ns >= size) || UNITS[3];
  const value = ns / unit;
  const decimals = unit === 1 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return value.toFixed(decimals) + " " + name;
}

/* A moment, to the accuracy that a view of such a length shows. */
function momentText(ns, length) {
  const [unit, name] = UNITS.find(([size]) => longest >= 2 * size) || UNITS[3];
  const decimals = Math.max(0, Math.min(9, Math.ceil(Math.log10(unit / (length / 1000)))));
  return (ns / unit).toFixed(decimals) + " " + name;
}

function namesOf(lane, bar) {
  const names = bar.names.map(name => lane.recording.names[name]).join(", ");
  return bar.names.length === MERGED_NAMES ? names + ", \u2026" : names;
}

function barText(lane, bar) {
  const lines = [];
  lines.push(bar.count > 1 ? bar.count.toLocaleString("en") + " tasks: " + namesOf(lane, bar)
    : namesOf(lane, bar));
  lines.push(timeText(bar.busy) + " in progress, " + timeText(bar.cpu) + " on a CPU" +
    (bar.flags & ESTIMATED ? " (estimated)" : ""));
  lines.push("from " + momentText(bar.begin, bar.end - bar.begin) + " to " +
    momentText(bar.end, bar.end - bar.begin) +
    (bar.delay ? ", ready " + timeText(bar.delay) + " before" : ""));
  const facts = [];
  if (bar.flags & CRITICAL) facts.push("on the critical path");
  if (bar.flags & UNFINISHED) facts.push("did not end");
  if (bar.flags & FAILED) facts.push("ended with a failure");
  if (bar.flags & FOLDED) facts.push("forks that were not stolen are part of it");
  if (facts.length > 0) lines.push(facts.join(", "));
  lines.push("worker " + lane.name);
  return lines.join("\n");
}
