"use strict";
(async () => {
  const themes = JSON.parse(document.getElementById("themes").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => (dark.matches ? themes.dark : themes.light);
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const places = [...document.querySelectorAll(".figure")];
  // On a telephone a drag should scroll the page, not zoom the figure, and without hovering the buttons would never hide.
  const pointed = matchMedia("(hover: hover)").matches && document.documentElement.clientWidth >= 640;

  // plotly.js lies in the page compressed; a script element runs it, which the page's policy allows and eval is not.
  const packed = document.getElementById("plotly");
  if (packed) {
    try {
      const bytes = Uint8Array.from(atob(packed.textContent), (character) => character.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = document.createElement("script");
      script.textContent = await new Response(stream).text();
      document.head.append(script);
      packed.remove();
    } catch (error) {
      for (const place of places) {
        place.style.height = "auto";
        place.textContent = `This browser cannot draw the figure (${error.name}); one of 2023 or later can.`;
      }
    }
  }

  if (window.Plotly) for (const place of places) {
    await new Promise((resolve) => setTimeout(resolve)); // what is drawn can be read while the rest is being drawn
    const { data, layout } = JSON.parse(document.getElementById(place.dataset.figure).textContent);
    layout.template = theme();
    layout.dragmode = pointed ? "zoom" : false;
    Plotly.newPlot(place, data, layout, { ...config, displayModeBar: pointed ? "hover" : false });
  }
  document.documentElement.dataset.drawn = Math.round(performance.now()); // ms; for whoever waits for the figures
  dark.addEventListener("change", () => window.Plotly && places.forEach((place) => Plotly.relayout(place, { template: theme() })));

  // Paper is white, and narrower than most windows.
  addEventListener("beforeprint", () => window.Plotly &&
    places.forEach((place) => Plotly.relayout(place, { template: themes.light, width: 660 })));
  addEventListener("afterprint", () => window.Plotly &&
    places.forEach((place) => Plotly.relayout(place, { template: theme(), width: null, autosize: true })));

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        // Browsers may refuse the clipboard to a file; the reader can still copy what is selected.
        getSelection().selectAllChildren(source);
        button.textContent = "Selected: now copy";
      }
    });
  }
})();
