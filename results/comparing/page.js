"use strict";
// Draws every chart of the page, in light or dark as the reader's system is, and again when that changes.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  const draw = async () => {
    const config = data.themes[dark.matches ? "dark" : "light"];
    await Promise.all(data.charts.map((chart) => {
      const spec = { ...chart.spec, datasets: chart.rows };
      const options = { actions: false, ast: true, renderer: "svg", config, tooltip: { theme: dark.matches ? "dark" : "light" } };
      return vegaEmbed(`#${chart.place}`, spec, options).catch((error) => {
        document.getElementById(chart.place).textContent = `This chart could not be drawn: ${error.message}`;
      });
    }));
    document.documentElement.dataset.drawn = config === data.themes.dark ? "dark" : "light";
  };

  dark.addEventListener("change", draw);
  draw();
})();
