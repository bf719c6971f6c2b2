// Asks the server for samples, and shows what it says while they come about.
"use strict";

const at = (id) => document.getElementById(id);
const facts = JSON.parse(at("facts").textContent);
const MOST_FRAMES = 1000;
const MOST_CHIPS = 20;
const COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"];

let frames = [];
let labels = null;
let total = 0;
let ending = null;
let began = false;

function make(name, properties = {}, ...children) {
  const one = Object.assign(document.createElement(name), properties);
  one.append(...children);
  return one;
}

// The form

function optionField(option) {
  const id = `option-${option.key}`;
  const input = option.choices
    ? make("select", { id }, ...option.choices.map((one) => make("option", { value: one, textContent: one })))
    : make("input", { id });
  input.value = option.default;
  input.dataset.key = option.key;
  input.dataset.usual = option.default;
  const field = make("div", { className: "field", title: option.help });
  field.append(make("label", { htmlFor: id, textContent: option.name }), input);
  field.append(make("p", { className: "hint", textContent: option.help }));
  return field;
}

const chosen = () => facts.samplers.find((one) => one.name === at("sampler").value);

function showSampler() {
  const sampler = chosen();
  at("summary").textContent = sampler.summary;
  at("options").replaceChildren(...sampler.options.map(optionField));
  at("more").hidden = sampler.options.length === 0;
  // How often it calls the network is found on the way: only its steps can be said.
  at("unit").options[0].disabled = !sampler.counts;
  if (!sampler.counts) at("unit").value = "steps";
}

function offerSamplers() {
  for (const one of facts.samplers) {
    const name = one.refused ? `${one.name} (does not suit)` : one.name;
    const option = make("option", { value: one.name, textContent: name });
    option.disabled = Boolean(one.refused);
    at("sampler").append(option);
    if (one.refused) at("reasons").append(make("li", { textContent: `${one.name}: ${one.refused}` }));
  }
  at("unsuited").hidden = !at("reasons").children.length;
  const usable = facts.samplers.filter((one) => !one.refused);
  at("sampler").value = (usable.find((one) => one.name === facts.sampler) || usable[0]).name;
}

function offerClasses() {
  if (!facts.classes) return;
  if (facts.classes > MOST_CHIPS) {
    at("labelled").hidden = false;
    at("known").textContent = `0 to ${facts.classes - 1}, such as 0,1,2; all in turn if empty`;
    return;
  }
  at("classes").hidden = false;
  for (let label = 0; label < facts.classes; label++) {
    const box = make("input", { type: "checkbox", value: label, name: "label" });
    at("chips").append(make("label", {}, box, make("span", { textContent: label })));
  }
}

function offerGuidance() {
  if (!facts.guidance.length) return;
  at("guided").hidden = false;
  const [scale, ...others] = facts.guidance;
  at("scale").value = at("slide").value = scale.default;
  at("guidance").replaceChildren(...others.map(optionField));
  at("slide").addEventListener("input", () => { at("scale").value = at("slide").value; });
  at("scale").addEventListener("input", () => { at("slide").value = at("scale").value; });
}

function offer() {
  const { dataset = "data", backbone, scheduler } = facts.made_of;
  const size = facts.shape.join(" × ");
  document.title = `${facts.run} · diffx`;
  at("run").textContent = facts.run;
  at("model").textContent = `${backbone}, ${scheduler}, ${dataset} ${size}, step ${facts.step}, ${facts.device}`;
  at("amount").value = facts.nfe;
  at("n").value = facts.n;
  at("caveat").textContent = facts.caveat && `Shown is ${facts.caveat}.`;
  at("caveat").hidden = !facts.caveat;
  at("prompted").hidden = !facts.prompts;
  offerSamplers();
  offerClasses();
  offerGuidance();
  showSampler();
}

// What the form says, as the texts of flags; what is as usual is not said.
function said() {
  const texts = { sampler: at("sampler").value, [at("unit").value]: at("amount").value.trim() };
  const picked = [...document.querySelectorAll("#chips input:checked")].map((one) => one.value).join(",");
  const labelled = picked || at("labels").value.trim();
  if (labelled) texts.labels = labelled;
  if (facts.prompts && at("prompt").value.trim()) texts.prompt = at("prompt").value.trim();
  if (facts.guidance.length && Number(at("scale").value) !== 1) texts["guidance.scale"] = at("scale").value.trim();
  for (const one of document.querySelectorAll("[data-key]")) {
    if (one.value.trim() !== one.dataset.usual) texts[one.dataset.key] = one.value.trim();
  }
  return { ...texts, n: at("n").value.trim(), seed: at("seed").value.trim() };
}

// The address keeps what was drawn last, so that a link to it opens the same form.
function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  const usable = facts.samplers.some((one) => one.name === kept.get("sampler") && !one.refused);
  if (usable) at("sampler").value = kept.get("sampler");
  showSampler();
  for (const unit of ["nfe", "steps"]) {
    if (kept.has(unit)) { at("unit").value = unit; at("amount").value = kept.get(unit); }
  }
  if (kept.has("guidance.scale")) at("scale").value = at("slide").value = kept.get("guidance.scale");
  for (const id of ["labels", "prompt", "n", "seed"]) if (kept.has(id)) at(id).value = kept.get(id);
  const picked = (kept.get("labels") || "").split(",");
  for (const one of document.querySelectorAll("#chips input")) one.checked = picked.includes(one.value);
  if (!at("classes").hidden) at("labels").value = "";
  for (const one of document.querySelectorAll("[data-key]")) {
    if (kept.has(one.dataset.key)) one.value = kept.get(one.dataset.key);
  }
}

// What is seen

function scatter(points) {
  const canvas = make("canvas", { width: 720, height: 720 });
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const place = (value) => 360 + (value / facts.ends) * 350;
  pen.strokeStyle = style.getPropertyValue("--line");
  pen.lineWidth = 2;
  for (const [a, b, c, d] of [[0, 360, 720, 360], [360, 0, 360, 720]]) {
    pen.beginPath(); pen.moveTo(a, b); pen.lineTo(c, d); pen.stroke();
  }
  points.forEach(([x, y], i) => {
    pen.fillStyle = labels ? COLOURS[labels[i] % COLOURS.length] : style.getPropertyValue("--accent");
    pen.beginPath(); pen.arc(place(x), place(-y), 5, 0, 2 * Math.PI); pen.fill();
  });
  return canvas;
}

function put(figure, look, what) {
  const seen = look.image ? make("img", { src: look.image }) : scatter(look.points);
  if (look.image) {
    seen.alt = what;
    // What is wide has more room one below the other.
    seen.onload = () => at("panels").classList.toggle("wide", seen.naturalWidth > 1.8 * seen.naturalHeight);
  }
  else { seen.setAttribute("role", "img"); seen.setAttribute("aria-label", what); }
  figure.querySelector(".sheet").replaceChildren(seen);
}

function show(i) {
  const frame = frames[i];
  if (!frame) return;
  put(at("state"), frame.looks[0], `samples after step ${frame.step} of ${total}`);
  at("data").hidden = frame.looks.length < 2;
  if (frame.looks[1]) put(at("data"), frame.looks[1], `expected data after step ${frame.step} of ${total}`);
  at("status").textContent = `Step ${frame.step} of ${total}, ${frame.calls} network calls${ending && i === frames.length - 1 ? `: ${ending}` : ""}`;
}

function add(frame) {
  if (frames.length >= MOST_FRAMES) frames = frames.filter((_, i) => i % 2 === 0);
  frames.push(frame);
  const last = frames.length - 1;
  const way = at("way");
  const follows = Number(way.value) === Number(way.max);
  way.max = last;
  way.disabled = false;
  if (follows || ending) { way.value = last; show(last); }
}

function complain(problems) {
  at("problems").replaceChildren(...problems.map((one) => make("p", { textContent: one })));
  at("problems").hidden = problems.length === 0;
}

function finish(event) {
  ending = "done";
  const last = frames[frames.length - 1];
  const looks = last && last.looks.length > 1 ? [event.look, last.looks[1]] : [event.look];
  if (last && last.step === total) frames.pop();
  add({ step: total, calls: event.calls, looks });
  at("png").href = event.picture;
  at("json").href = `data:application/json,${encodeURIComponent(event.json)}`;
  at("command").textContent = event.command;
  at("done").hidden = false;
}

function hear(event) {
  if (event.event === "begun") {
    began = true;
    frames = [];
    ending = null;
    at("done").hidden = true;
    Object.assign(at("way"), { value: 0, max: 0, disabled: true });
    total = event.steps;
    labels = event.labels;
    at("status").textContent = `Step 0 of ${total}`;
  } else if (event.event === "state") add(event);
  else if (event.event === "done") finish(event);
  else if (event.event === "stopped") ending = "stopped";
  else if (event.event === "failed") { ending = "failed"; complain(event.problems); }
}

// The request

const token = { "x-diffx-token": facts.token };
let stopper = null;

async function listen(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.map((line) => JSON.parse(line)).forEach(hear);
  }
}

async function draw() {
  stopper = new AbortController();
  const texts = said();
  if (matchMedia("(max-width: 760px)").matches) at("panels").scrollIntoView({ block: "center" });
  began = false;
  complain([]);
  at("status").textContent = "Getting ready";
  busy(true);
  try {
    const answer = await fetch("draw", {
      method: "POST",
      headers: { "content-type": "application/json", ...token },
      body: JSON.stringify(texts),
      signal: stopper.signal,
    });
    if (answer.ok) {
      history.replaceState(null, "", `#${new URLSearchParams(texts)}`);
      await listen(answer);
      if (!ending) complain(["the server ended before the samples were there"]);
    } else {
      const text = await answer.text();
      complain(answer.headers.get("content-type").startsWith("application/json") ? JSON.parse(text).problems : [text]);
    }
  } catch (error) {
    if (error.name !== "AbortError") complain([`the server does not answer: is diffx ui still running? (${error.message})`]);
    else if (began) ending = "stopped";
  }
  if (frames.length) show(Number(at("way").value));
  else at("status").textContent = "Nothing was drawn.";
  busy(false);
}

// The server notices late that nobody listens: it is told, so that who draws again at once may.
async function stop() {
  const mine = stopper;
  await fetch("stop", { method: "POST", headers: token }).catch(() => {});
  mine.abort();
}

function busy(is) {
  at("draw").disabled = is;
  at("stop").hidden = !is;
  document.body.dataset.busy = is;
}

offer();
recall();
at("sampler").addEventListener("change", showSampler);
at("form").addEventListener("submit", (event) => { event.preventDefault(); if (!at("draw").disabled) draw(); });
at("stop").addEventListener("click", stop);
at("new").addEventListener("click", () => { at("seed").value = crypto.getRandomValues(new Uint32Array(1))[0]; });
at("way").addEventListener("input", () => show(Number(at("way").value)));
at("copy").addEventListener("click", () => navigator.clipboard.writeText(at("command").textContent));
