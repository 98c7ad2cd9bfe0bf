"use strict";
// Theme, tables and charts of the report. Without it a page still shows its pictures and its tables.

const root = document.documentElement;
const each = (within, selector, work) => within.querySelectorAll(selector).forEach(work);
const system = matchMedia("(prefers-color-scheme: dark)");
const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

function remembered(value) {
  try {
    if (value) localStorage.setItem("alsuite-theme", value);
    return localStorage.getItem("alsuite-theme");
  } catch {
    return null; // some browsers refuse to store anything for files
  }
}
if (remembered()) root.dataset.theme = remembered();

// Colours that are too dark on a dark page, and what stands for them there.
const BRIGHTER = { "#0072B2": "#4ba6e0", "#000000": "#e4e7ea", "#6f6f6f": "#a2adb6", "#882255": "#d774a8", "#D55E00": "#ee7d28" };
const toned = (text) => (dark() ? text.replace(/#(0072B2|000000|6f6f6f|882255|D55E00)/g, (found) => BRIGHTER[found]) : text);

function switchable(button) {
  const show = () => {
    button.setAttribute("aria-pressed", String(dark()));
    each(document, "svg[data-colour]", (swatch) => (swatch.style.color = toned(swatch.dataset.colour)));
    each(document, ".js-plotly-plot", draw);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    remembered(root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  show();
}

// Charts: drawn when they come near the window, in the colours of the page.
function draw(element) {
  const { data, layout } = JSON.parse(toned(element.dataset.spec));
  const { color, borderTopColor, caretColor, fontFamily } = getComputedStyle(element);
  const hidden = hiddenIn(element.closest(".charts"));
  for (const trace of data) trace.visible = !hidden.has(trace.name);
  const axis = { gridcolor: borderTopColor, linecolor: borderTopColor, zeroline: false, automargin: true };
  const touch = matchMedia("(pointer: coarse)").matches;
  const whole = {
    ...layout,
    xaxis: { nticks: 6, ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: fontFamily, size: 12, color },
    hoverlabel: { namelength: -1, bgcolor: getComputedStyle(element.closest(".card")).backgroundColor, font: { color } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: caretColor, activecolor: color },
    margin: { l: 48, r: 12, t: 28, b: 40 },
    showlegend: false,
    uirevision: "kept", // the part that is zoomed into
    dragmode: touch ? false : "zoom",
  };
  const bar = [["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]];
  Plotly.react(element, data, whole, { responsive: true, displaylogo: false, modeBarButtons: bar });
}

function hiddenIn(charts) {
  const off = charts.querySelectorAll('.legend [aria-pressed="false"]');
  return new Set([...off].map((button) => button.dataset.series));
}

function prepare(element) {
  const script = element.querySelector("script");
  element.dataset.spec = script.textContent;
  script.remove();
  near.observe(element);
}
const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) near.unobserve(target), draw(target);
    }
  },
  { rootMargin: "400px" },
);
addEventListener("beforeprint", () => {
  each(document, ".chart:not(.js-plotly-plot)", (chart) => (near.unobserve(chart), draw(chart)));
});

function switches(button) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    each(button.closest(".charts"), ".js-plotly-plot", draw);
  });
}

// Tables: each head sorts, and long ones can be filtered.
const valueOf = (row, place) => row.cells[place].dataset.value ?? row.cells[place].textContent.trim();
function compared(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    if (table.tBodies[0].rows[0]?.cells[place]?.classList.contains("n")) head.classList.add("right");
    button.addEventListener("click", () => {
      const turn = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      const gap = (row) => valueOf(row, place) === ""; // which comes last either way
      rows.sort((a, b) => gap(a) - gap(b) || turn * compared(valueOf(a, place), valueOf(b, place)));
      table.tBodies[0].append(...rows);
    });
  });
}

// Whether a word of the text begins so, as "disagrees" does not with "agrees".
function begins(text, start) {
  for (let at = text.indexOf(start); at >= 0; at = text.indexOf(start, at + 1)) {
    if (at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1]) || !start) return true;
  }
  return false;
}

function filterable(table) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 8) return;
  const box = document.createElement("div");
  const label = document.createElement("label");
  const [input, count] = [document.createElement("input"), document.createElement("span")];
  Object.assign(input, { type: "search", placeholder: "words to look for" });
  box.className = "filter";
  count.setAttribute("role", "status");
  label.append(`Filter ${table.dataset.filter} `, input);
  box.append(label, count);
  table.closest(".scroll").before(box);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !words.every((word) => begins(row.textContent.toLowerCase(), word));
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
  });
}

function contents(nav) {
  const heads = [...document.querySelectorAll("h2[id]")];
  if (heads.length < 3) return;
  const box = document.createElement("div");
  for (const head of heads) {
    const link = document.createElement("a");
    link.href = `#${head.id}`;
    link.textContent = head.textContent;
    box.append(link);
  }
  nav.append(box);
  nav.hidden = false;
}

function copies(button) {
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = "Copied";
  });
}

addEventListener("DOMContentLoaded", () => {
  each(document, ".theme", switchable);
  each(document, ".chart", prepare);
  each(document, ".legend button", switches);
  each(document, "table.data", sortable);
  each(document, "table[data-filter]", filterable);
  each(document, ".copy", copies);
  each(document, ".contents", contents);
});
