"""The live curve: Plotly that keeps its zoom while new points arrive.

`st.plotly_chart` draws a new chart for every change of data and forgets the zoom. This component hands the new figure
to `Plotly.react` on the same element; `uirevision` makes Plotly keep what the user did.
"""

import streamlit as st

from pages._access import base

_HTML = """<div class="live-chart"></div>
"""
_SCRIPT = """
function plotly(source) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  if (!window.studioPlotly) {
    window.studioPlotly = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = source;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error("Plotly could not be loaded from " + source));
      document.head.appendChild(script);
    });
  }
  return window.studioPlotly;
}

function themed(layout, element) {
  const style = getComputedStyle(element);
  const text = style.getPropertyValue("--st-text-color").trim() || style.color;
  const line = style.getPropertyValue("--st-border-color").trim() || "#ccc";
  const paper = style.getPropertyValue("--st-background-color").trim() || "#fff";
  const axis = (own) => ({ ...own, gridcolor: line, linecolor: line, zerolinecolor: line });
  return {
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, family: style.getPropertyValue("--st-font").trim() || "sans-serif", size: 13 },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", // a finger scrolls the page
    hoverlabel: { bgcolor: paper, font: { color: text } },
    xaxis: axis(layout.xaxis),
    yaxis: axis(layout.yaxis),
    uirevision: "keep",
  };
}

export default function (component) {
  const { data, parentElement } = component;
  const element = parentElement.querySelector(".live-chart");
  const figure = JSON.parse(data.figure);
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", data.alt);
  plotly(data.source).then((library) => {
    const options = { responsive: true, displayModeBar: false, doubleClick: "reset" };
    library.react(element, figure.data, themed(figure.layout, element), options);
    element.dataset.points = String(Math.max(0, ...figure.data.map((trace) => trace.x.length)));
  });
}
"""

_component = st.components.v2.component("studio_live_chart", html=_HTML, js=_SCRIPT, isolate_styles=False)


def live_chart(figure: str, *, alt: str, key: str) -> None:
    """Draw a figure, as JSON, that will be drawn again with more points. Nothing is sent while it stays the same."""
    _component(data={"figure": figure, "alt": alt, "source": f"{base()}/studio-assets/plotly.min.js"}, key=key)
