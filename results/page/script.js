"use strict";
// The page's own behaviour: draws the chart, follows a lineage, walks through trials. Text from the run is
// only ever set as text. State that outlives a reload is in the address: #live&follow=NAME.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [chart, stage, card, ring, said] = ["chart", "stage", "card", "ring", "said"].map((id) => document.getElementById(id));
  const trials = [...data.rows.marks].sort((a, b) => a.trial - b.trial);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const chips = [...document.querySelectorAll("[data-follow]")];
  const NEAR = 26; // pixels from a trial at which it is meant
  let view = null, by = "trial", followed = "", shown = null, drawing = 0;

  async function draw() {
    const mine = ++drawing;
    const width = chart.clientWidth;
    const spec = { ...data.charts[by], datasets: data.rows, height: width < 560 ? 330 : 430 };
    const theme = data.themes[dark.matches ? "dark" : "light"];
    const config = { ...theme, background: "transparent" };
    const made = await vegaEmbed(chart, spec, { actions: false, ast: true, config, defaultStyle: false, renderer: "canvas", tooltip: false });
    if (mine !== drawing) return made.finalize();
    view = made.view;
    view.signal("followed", followed);
    await view.runAsync();
    hide();
    document.documentElement.dataset.drawn = by; // for whoever waits for it
  }

  // Where things are, in pixels from the stage's corner.
  function place(row) {
    const [left, top] = view.origin().map((shift, i) => shift + view.padding()[["left", "top"][i]]);
    const canvas = chart.querySelector("canvas").getBoundingClientRect(), box = stage.getBoundingClientRect();
    return [view.scale("x")(row[by]) + left + canvas.left - box.left, view.scale("y")(row.y) + top + canvas.top - box.top];
  }
  function inside([x, y]) {
    const box = stage.getBoundingClientRect();
    return x >= 0 && x <= box.width && y >= 0 && y <= box.height;
  }
  function point(event) {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
  function nearest([x, y]) {
    let found = null, least = NEAR;
    for (const row of trials) {
      if (followed && row.lineage !== followed) continue;
      const [a, b] = place(row), apart = Math.hypot(a - x, b - y);
      if (apart < least) [found, least] = [row, apart];
    }
    return found;
  }
  // The lineage whose line passes under the pointer.
  function line([x, y]) {
    let found = "", least = 12;
    const last = {};
    for (const step of data.rows.steps) {
      const before = last[step.lineage];
      if (before) {
        const [a, b] = place({ ...before, y: before.mean }), [c] = place(step);
        const apart = Math.abs(b - y);
        if (x >= a && x <= c && apart < least) [found, least] = [step.lineage, apart];
      }
      last[step.lineage] = step;
    }
    return found;
  }

  // For whoever asks from outside: where a trial is drawn, in pixels from the corner of the chart's frame.
  window.placeOf = (trial) => place(trials.find((row) => row.trial === trial));

  const number = (value, sign) => value === null ? "" : (sign && value > 0 ? "+" : "") + value.toPrecision(5).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  function paragraph(text, name) {
    const p = document.createElement("p");
    p.textContent = text;
    if (name) p.className = name;
    return p;
  }
  function effect(row) {
    if (row.effect === null) return "";
    const gain = (-row.effect).toPrecision(2), half = row.effect_half.toPrecision(2);
    return `gain ${gain} ± ${half}, ${Math.round(100 * row.odds)}% likely one`;
  }
  function show(row) {
    if (row === null) return hide();
    const at = place(row);
    if (shown !== row) {
      const score = row.score === null ? row.status : number(row.score);
      const verdict = row.verdict === null ? "" : `, ${row.look}`;
      const rows = [
        paragraph(`trial ${row.trial} · ${row.lineage} · ${row.operator}`, "note"),
        paragraph(row.idea, "what"),
        paragraph(`${score}${verdict}`),
      ];
      if (row.effect !== null) rows.push(paragraph(effect(row)));
      if (row.changed) rows.push(paragraph(row.changed, "note"));
      if (row.reason) rows.push(paragraph(row.reason, "note"));
      rows.push(paragraph(`seed ${row.seed}` + (row.again_of === null ? "" : ` · measures trial ${row.again_of} again`), "note"));
      card.replaceChildren(...rows);
      shown = row;
    }
    ring.hidden = !inside(at);
    ring.style.left = `${at[0]}px`;
    ring.style.top = `${at[1]}px`;
    card.hidden = false;
    const left = at[0] + 18 + card.offsetWidth > stage.clientWidth ? at[0] - 18 - card.offsetWidth : at[0] + 18;
    card.style.left = `${Math.max(0, Math.min(left, stage.clientWidth - card.offsetWidth))}px`;
    card.style.top = `${Math.max(0, Math.min(at[1] - 20, stage.clientHeight - card.offsetHeight))}px`;
  }
  function hide() {
    shown = null;
    card.hidden = ring.hidden = true;
  }

  function follow(name) {
    followed = name === followed ? "" : name;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.follow === followed));
    for (const item of document.querySelectorAll("[data-lineage]"))
      item.classList.toggle("aside", followed !== "" && item.dataset.lineage !== followed);
    const chip = chips.find((one) => one.dataset.follow === followed);
    const own = trials.filter((row) => row.lineage === followed);
    said.textContent = chip ? `Following ${followed}: ${chip.dataset.about}; ${own.length} trials, ${own.filter((row) => row.fate === "kept").length} kept.` : "";
    remember();
    if (view) view.signal("followed", followed).runAsync().then(() => { document.documentElement.dataset.followed = followed; });
  }
  function walk(step) {
    const rows = followed ? trials.filter((row) => row.lineage === followed) : trials;
    if (!rows.length) return;
    const at = rows.indexOf(shown);
    const next = step === Infinity ? rows.length - 1 : step === -Infinity ? 0 : at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step;
    const row = rows[Math.max(0, Math.min(rows.length - 1, next))];
    const [low, high] = view.scale("x").domain();
    if (row[by] < low || row[by] > high) reach(row[by] - (high - low) / 2, row[by] + (high - low) / 2, row).then(aloud);
    else aloud(show(row));
  }
  function aloud() {
    said.textContent = [...card.children].map((p) => p.textContent).join(". ");
  }
  // Shows this stretch of trials or hours, and what is shown where it is then. The signals are those of the
  // chart's selection named `zoom`, which takes both or none.
  function reach(low, high, row) {
    const across = low === null ? null : [low, high], up = low === null ? null : [...view.scale("y").domain()];
    return view.signal(`zoom_${by}`, across).signal("zoom_y", up).runAsync().then(() => row && show(row));
  }
  function zoom(way) {
    const [low, high] = view.scale("x").domain();
    const anchor = shown ? shown[by] : (low + high) / 2, factor = way === "in" ? 0.6 : 1 / 0.6;
    if (way === "all") reach(null, null, shown);
    else reach(anchor + (low - anchor) * factor, anchor + (high - anchor) * factor, shown);
  }

  function remember() {
    const live = document.getElementById("live");
    const parts = [...(live && live.checked ? ["live"] : []), ...(followed ? [`follow=${encodeURIComponent(followed)}`] : [])];
    history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search);
  }
  function recall() {
    const parts = location.hash.slice(1).split("&"), live = document.getElementById("live");
    const name = parts.find((part) => part.startsWith("follow="));
    if (live && parts.includes("live")) live.checked = true;
    if (name) {
      const wanted = decodeURIComponent(name.slice(7));
      if (chips.some((chip) => chip.dataset.follow === wanted)) follow(wanted);
    }
  }

  let from = null;
  stage.addEventListener("pointermove", (event) => {
    if (view && !(event.buttons && event.pointerType === "mouse")) show(nearest(point(event)));
  });
  stage.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide());
  stage.addEventListener("pointerdown", (event) => { from = point(event); });
  stage.addEventListener("click", (event) => {
    if (!view) return;
    const at = point(event);
    if (from && Math.hypot(at[0] - from[0], at[1] - from[1]) > 4) return; // it was moved
    const row = nearest(at);
    if (row) show(row);
    const name = row ? row.lineage : line(at);
    if (name !== followed) follow(name || followed);
    else if (!row) follow(followed);
  });
  stage.addEventListener("keydown", (event) => {
    const keys = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    if (!view || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in keys) walk(keys[event.key]);
    else if (event.key === "Enter" && shown) follow(shown.lineage);
    else if (event.key === "Escape") { hide(); if (followed) follow(followed); }
    else if (event.key === "+" || event.key === "-" || event.key === "0") zoom({ "+": "in", "-": "out", 0: "all" }[event.key]);
    else return;
    event.preventDefault();
  });
  for (const chip of chips) chip.addEventListener("click", () => follow(chip.dataset.follow));
  for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => view && zoom(button.dataset.zoom));
  for (const axis of document.querySelectorAll("[name=axis]")) axis.addEventListener("change", () => { by = axis.value; draw(); });
  const live = document.getElementById("live");
  if (live) {
    let stale = location.protocol === "file:"; // nobody tells: look again from time to time
    const renew = () => stale && live.checked && !document.hidden && location.reload();
    live.addEventListener("change", () => { remember(); renew(); });
    if (stale) setInterval(renew, 10000);
    else {
      document.addEventListener("visibilitychange", renew);
      listen(() => { stale = true; renew(); });
    }
  }
  dark.addEventListener("change", draw);
  recall();
  draw();
})();
