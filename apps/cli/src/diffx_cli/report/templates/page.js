"use strict";

const TICK = 160, REST = 1500;

for (const player of document.querySelectorAll(".player")) {
  const frames = [...player.querySelectorAll(".frame[data-label]")];
  const [slider, button, said] = ["input", "button", "output"].map((name) => player.querySelector(name));
  let timer = 0;
  const show = (place) => {
    frames.forEach((frame, i) => { frame.hidden = i !== place; });
    slider.value = place;
    said.textContent = frames[place].dataset.label;
  };
  const stop = () => {
    clearTimeout(timer);
    timer = 0;
    button.textContent = "\u25b6";
    button.setAttribute("aria-label", "play");
  };
  const advance = () => {
    const next = (Number(slider.value) + 1) % frames.length;
    show(next);
    timer = setTimeout(advance, next === frames.length - 1 ? REST : TICK);
  };
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  button.addEventListener("click", () => {
    if (timer) { stop(); return; }
    button.textContent = "\u275a\u275a";
    button.setAttribute("aria-label", "pause");
    advance();
  });
}

for (const chart of document.querySelectorAll(".chart")) {
  const svg = chart.querySelector("svg");
  const curves = JSON.parse(svg.dataset.curves);
  const [left, right, top, bottom, low, high, log] = JSON.parse(svg.dataset.frame);
  const [at, ...values] = chart.querySelectorAll(".legend b");
  const scaled = (x) => (log ? Math.log(x) : x);
  const share = (x) => (scaled(x) - scaled(low)) / (scaled(high) - scaled(low));
  const cross = document.createElementNS("http://www.w3.org/2000/svg", "path");
  cross.setAttribute("class", "cross");
  svg.append(cross);
  const nearest = (curve, place) => curve.reduce((best, point) =>
    (Math.abs(share(point[0]) - place) < Math.abs(share(best[0]) - place) ? point : best));
  const read = (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
    const place = Math.min(1, Math.max(0, (x - left) / (right - left)));
    const points = curves.map((curve) => nearest(curve, place));
    const first = points.reduce((best, point) =>
      (Math.abs(share(point[0]) - place) < Math.abs(share(best[0]) - place) ? point : best));
    cross.setAttribute("d", `M${left + share(first[0]) * (right - left)} ${top}V${bottom}`);
    at.textContent = String(Number(first[0].toPrecision(5)));
    points.forEach((point, i) => { values[i].textContent = String(Number(point[1].toPrecision(4))); });
  };
  svg.addEventListener("pointermove", read);
  svg.addEventListener("pointerdown", read);
  svg.addEventListener("pointerleave", () => {
    cross.removeAttribute("d");
    for (const value of [at, ...values]) value.textContent = "";
  });
}
