/* What the reader does: zooms, moves, points, searches, changes the theme. */

const SHORTEST = Math.min(longest, 200); /* nanoseconds in view */
const element = id => document.getElementById(id);

/* ---- moving */

function lookAt(from, to) {
  const length = Math.min(longest, Math.max(SHORTEST, to - from));
  view.from = Math.max(0, Math.min(from, longest - length));
  view.to = view.from + length;
  element("tip").hidden = true;
  redraw();
}

/* `around` stays where it is. */
function zoom(factor, around = (view.from + view.to) / 2) {
  const length = Math.min(longest, Math.max(SHORTEST, (view.to - view.from) * factor));
  const part = (around - view.from) / (view.to - view.from);
  lookAt(around - length * part, around + length * (1 - part));
}

function move(part) {
  const step = (view.to - view.from) * part;
  lookAt(view.from + step, view.to + step);
}

function showAll() {
  lookAt(0, longest);
}

function zoomTo(bar) {
  const length = Math.max(SHORTEST, (bar.end - bar.begin) * 1.6);
  const middle = (bar.begin + bar.end) / 2;
  lookAt(middle - length / 2, middle + length / 2);
}

function bandOf(lane) {
  return bands.find(band => band.lane === lane);
}

/* Moves as little as it takes to show a bar. */
function bringIntoView({ lane, bar }) {
  const length = view.to - view.from;
  const least = (bar.end - bar.begin) * (wide - LEFT - RIGHT) / 6;
  if (least < length) zoomTo({ begin: bar.begin - least / 2, end: bar.begin + least / 2 });
  else if (bar.begin < view.from || bar.end > view.to) {
    lookAt(bar.begin - length / 3, bar.begin + length * 2 / 3);
  }
  const band = bandOf(lane);
  if (band.y < stage.scrollTop || band.y + band.high > stage.scrollTop + high - AXIS) {
    stage.scrollTop = band.y - 40;
  }
}

/* ---- choosing */

function choose(chosen) {
  view.chosen = chosen;
  element("detail").textContent = chosen
    ? barText(chosen.lane, chosen.bar).split("\n").join(" \u00b7 ") : "";
  if (chosen) bringIntoView(chosen);
  redraw();
}

function firstOf(lane) {
  const row = lane.rowsOfBars[0];
  const index = Math.min(firstAfter(row, view.from), row.bars.length - 1);
  return { lane, row: 0, index, bar: row.bars[index] };
}

/* Those that have a task to choose. */
const allLanes = bands.filter(band => band.kind === "lane" && band.lane.rowsOfBars[0].bars.length > 0)
  .map(band => band.lane);

function chooseNext(step) {
  if (allLanes.length === 0) return;
  if (!view.chosen) {
    choose(firstOf(allLanes[0]));
    return;
  }
  const { lane, row, index } = view.chosen;
  const { bars } = lane.rowsOfBars[row];
  const next = Math.max(0, Math.min(bars.length - 1, index + step));
  choose({ lane, row, index: next, bar: bars[next] });
}

function chooseLane(step) {
  if (allLanes.length === 0) return;
  const at = view.chosen ? allLanes.indexOf(view.chosen.lane) + step : 0;
  choose(firstOf(allLanes[Math.max(0, Math.min(allLanes.length - 1, at))]));
}

/* ---- pointing */

const NEAR = 3; /* pixels beside a narrow bar that still count */

/* The bar under a point of the canvas; of nested ones the innermost. */
function barAt(x, y) {
  const place = y - AXIS + stage.scrollTop;
  const band = bands.find(one => place >= one.y && place < one.y + one.high);
  if (y < AXIS || x < LEFT || !band || band.kind !== "lane") return null;
  const { lane } = band;
  const time = timeAt(x);
  const near = NEAR * (view.to - view.from) / (wide - LEFT - RIGHT);
  const depth = Math.floor((place - band.y - 2 - SPAN * lane.spanRows) / DEEPER);
  for (let row = Math.min(lane.rows - 1, Math.max(0, depth)); row >= 0; row--) {
    let best = null;
    eachWithin(lane.rowsOfBars[row], lane.rowsOfBars[row].bars, time - near, time + near, (bar, index) => {
      const away = Math.max(0, bar.begin - time, time - bar.end);
      if (!best || away <= best.away) best = { lane, row, index, bar, away };
    });
    if (best) return best;
  }
  return null;
}

/* A span or a mark, in words. */
function partAt(x, y) {
  const place = y - AXIS + stage.scrollTop;
  const band = bands.find(one => one.kind === "lane" && place >= one.y && place < one.y + one.high);
  if (!band || x < LEFT) return "";
  const { names } = band.recording;
  const mark = band.lane.marks.find(one => Math.abs(xOf(one.at) - x) < 5);
  const inMarks = Math.abs(place - band.y - SPAN * band.lane.spanRows) < 8;
  if (mark && inMarks) {
    return names[mark.name] + " = " + mark.value.toLocaleString("en") + "\nmark at " +
      momentText(mark.at, view.to - view.from);
  }
  const depth = Math.floor((place - band.y) / SPAN);
  let text = "";
  if (depth < band.lane.spanRows) {
    eachWithin(band.lane.spans, band.lane.spans.spans, timeAt(x), timeAt(x + 1), span => {
      if (span.depth === depth) {
        text = names[span.name] + "\nspan of " + timeText(span.end - span.begin) +
          (span.unfinished ? ", did not end" : "");
      }
    });
  }
  return text;
}

function point(event) {
  const box = canvas.getBoundingClientRect();
  const x = event.clientX - box.left;
  const y = event.clientY - box.top;
  const hit = barAt(x, y);
  const text = partAt(x, y) || (hit ? barText(hit.lane, hit.bar) : "");
  const tip = element("tip");
  tip.hidden = text === "";
  if (text === "") return;
  tip.textContent = text;
  const size = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - size.width - 8)) + "px";
  tip.style.top = (event.clientY + 18 + size.height < innerHeight ? event.clientY + 18
    : Math.max(4, event.clientY - size.height - 12)) + "px";
}

let drag = null;

canvas.addEventListener("pointerdown", event => {
  if (event.button !== 0) return;
  drag = { x: event.clientX, y: event.clientY, from: view.from, top: stage.scrollTop, moved: false };
  canvas.setPointerCapture(event.pointerId);
});

canvas.addEventListener("pointermove", event => {
  if (!drag) {
    point(event);
    return;
  }
  const shift = drag.x - event.clientX;
  drag.moved = drag.moved || Math.abs(shift) > 3 || Math.abs(drag.y - event.clientY) > 3;
  if (!drag.moved) return;
  canvas.classList.add("dragged");
  const length = view.to - view.from;
  const from = drag.from + shift * length / (wide - LEFT - RIGHT);
  lookAt(from, from + length);
  stage.scrollTop = drag.top + drag.y - event.clientY;
});

canvas.addEventListener("pointerup", event => {
  canvas.classList.remove("dragged");
  if (drag && !drag.moved) {
    const box = canvas.getBoundingClientRect();
    choose(barAt(event.clientX - box.left, event.clientY - box.top));
  }
  drag = null;
});

canvas.addEventListener("pointerleave", () => {
  element("tip").hidden = true;
});

canvas.addEventListener("dblclick", event => {
  const box = canvas.getBoundingClientRect();
  const hit = barAt(event.clientX - box.left, event.clientY - box.top);
  if (hit) zoomTo(hit.bar);
});

canvas.addEventListener("wheel", event => {
  const x = event.clientX - canvas.getBoundingClientRect().left;
  if (x < LEFT) return;
  event.preventDefault();
  const turned = event.deltaMode === 1 ? 16 : 1;
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    move((event.deltaX || event.deltaY) * turned / 800);
  } else {
    zoom(Math.exp(Math.max(-240, Math.min(240, event.deltaY * turned)) / 400), timeAt(x));
  }
}, { passive: false });

/* ---- searching */

let found = [];
let at = -1;

function tellFound() {
  element("found").value = element("search").value === "" ? ""
    : found.length === 0 ? "none"
      : (at < 0 ? "" : (at + 1).toLocaleString("en") + " of ") + found.length.toLocaleString("en");
}

function search() {
  found = findTasks(element("search").value);
  at = -1;
  view.found = new Set(found.map(one => one.bar));
  tellFound();
  redraw();
}

function goToFound(step) {
  if (found.length === 0) return;
  at = at < 0 ? (step > 0 ? 0 : found.length - 1) : (at + step + found.length) % found.length;
  tellFound();
  choose(found[at]);
}

element("search").addEventListener("input", search);
element("search").addEventListener("keydown", event => {
  if (event.key === "Enter") goToFound(event.shiftKey ? -1 : 1);
  if (event.key === "Escape") {
    element("search").value = "";
    search();
    canvas.focus();
  }
});

/* ---- theme */

const preferred = matchMedia("(prefers-color-scheme: dark)");

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  readLook();
  redraw();
}

function otherTheme() {
  setTheme(document.documentElement.dataset.theme !== "dark");
}

preferred.addEventListener("change", () => setTheme(preferred.matches));

/* ---- keys and buttons */

function release() {
  choose(null);
  element("tip").hidden = true;
}

const keys = {
  "+": () => zoom(0.6),
  "=": () => zoom(0.6),
  "-": () => zoom(1 / 0.6),
  "0": showAll,
  Home: showAll,
  ArrowLeft: () => move(-0.15),
  ArrowRight: () => move(0.15),
  ArrowUp: () => stage.scrollBy(0, -52),
  ArrowDown: () => stage.scrollBy(0, 52),
  PageUp: () => stage.scrollBy(0, -high * 0.8),
  PageDown: () => stage.scrollBy(0, high * 0.8),
  ".": () => chooseNext(1),
  ",": () => chooseNext(-1),
  j: () => chooseLane(1),
  k: () => chooseLane(-1),
  Enter: () => view.chosen && zoomTo(view.chosen.bar),
  Escape: release,
  "/": () => element("search").focus(),
  t: otherTheme,
  "?": () => element("help").showModal(),
};

document.addEventListener("keydown", event => {
  const inField = event.target.closest("input, button, summary, dialog");
  if (inField || event.ctrlKey || event.altKey || event.metaKey || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

const buttons = {
  in: () => zoom(0.6),
  out: () => zoom(1 / 0.6),
  fit: showAll,
  before: () => goToFound(-1),
  after: () => goToFound(1),
  theme: otherTheme,
  keys: () => element("help").showModal(),
};
for (const id of Object.keys(buttons)) element(id).addEventListener("click", buttons[id]);

/* ---- the results above the picture */

function make(kind, text, className) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function makeNumbers(recording) {
  const numbers = make("details", "");
  numbers.open = recordings.length === 1 && innerHeight >= 700;
  const list = make("dl", "");
  for (const [name, value] of recording.metrics) {
    const entry = make("div", "");
    entry.append(make("dt", name), make("dd", value));
    list.append(entry);
  }
  numbers.append(make("summary", "Numbers"), list);
  return numbers;
}

function makeCard(recording) {
  const card = make("article", "", "card");
  const title = make("h2", "");
  title.append(make("span", recording.verdict, "badge verdict-" + recording.kind), recording.headline);
  card.append(title, make("p", recording.sentence.split("  ").join(" \u00b7 "), "sentence"));
  if (recording.warning !== "") card.append(make("p", recording.warning, "warning"));
  card.append(makeNumbers(recording));
  return card;
}

function resize() {
  const ratio = devicePixelRatio || 1;
  wide = Math.max(LEFT + RIGHT + 50, Math.floor(stage.clientWidth));
  high = Math.max(120, Math.floor(stage.clientHeight));
  canvas.width = wide * ratio;
  canvas.height = high * ratio;
  canvas.style.width = wide + "px";
  canvas.style.height = high + "px";
  element("space").style.height = Math.max(0, contentHigh + AXIS - high) + "px";
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  redraw();
}

function ruleText() {
  const grain = Math.max(0, ...recordings.map(recording => recording.grain));
  return grain === 0 ? "Every task has a bar of its own."
    : "Tasks shorter than " + timeText(grain) + " share a bar with their neighbours, which is as high " +
      "as it is busy and knows four of their names.";
}

const programs = [...new Set(recordings.map(recording => recording.program))];
element("program").textContent = programs.join(" \u00b7 ");
document.title = "weft timeline: " + programs.join(", ");
element("rule").textContent = ruleText();
element("cards").append(...recordings.map(makeCard));
stage.addEventListener("scroll", redraw);
new ResizeObserver(resize).observe(stage);
setTheme(preferred.matches);
resize();
