"use strict";
// The form, its answers, and the look at Keras' own answers at the start.
const about = JSON.parse(document.getElementById("about").textContent), said = about.said;
const bytes = Uint8Array.from(atob(about.program.weights), letter => letter.charCodeAt(0));
const model = answering(about, new Float32Array(bytes.buffer));
const form = document.getElementById("form"), answers = document.getElementById("answers");
const made = (tag, more = {}, ...inside) => { const one = Object.assign(document.createElement(tag), more); one.append(...inside); return one; };
const readers = {}; // column -> what it says now
const first = about.rows[0];

function field(column) {
  const id = "field-" + column.name, hint = made("small", { id: id + "-hint" }), value = first[column.name] ?? "";
  let input;
  if (column.kind === "category" && column.words.length <= 200) {
    const words = column.words.map(word => made("option", { value: word, textContent: word || said.blank }));
    input = made("select", {}, ...words, made("option", { value: about.other, textContent: said.other }));
    input.value = value;
  } else if (column.kind === "category") {
    const list = made("datalist", { id: id + "-words" }, ...column.words.map(word => made("option", { value: word })));
    form.append(list);
    input = made("input", { value });
    input.setAttribute("list", list.id);
  } else if (column.kind === "text" || column.kind === "letters") {
    input = made("textarea", { rows: 4, value });
  } else {
    input = made("input", { value, autocomplete: "off" });
    if (column.kind === "number") {
      input.inputMode = column.low < 0 ? "text" : "decimal";
      if (column.low !== null) hint.textContent = said.range.replace("{low}", column.low).replace("{high}", column.high);
    } else hint.textContent = said.day.replace("{low}", column.low).replace("{high}", column.high);
  }
  Object.assign(input, { id, name: column.name });
  input.setAttribute("aria-describedby", hint.id);
  form.append(made("label", { htmlFor: id, textContent: column.header }), input, hint);
  readers[column.name] = () => input.value;
}

function array(column) {
  const [high, wide, colours = 1] = column.sizes, id = "field-" + column.name, drawn = column.sizes.length > 1 && high > 3 && wide > 3 && (colours === 1 || colours === 3);
  const box = made("textarea", { id, name: column.name, rows: 3, value: Array.from(first[column.name]).join(",") });
  readers[column.name] = () => box.value;
  const label = made("label", { htmlFor: id, textContent: `${column.header}: ${said.numbers.replace("{count}", column.sizes.join(" x "))}` });
  if (!drawn) { form.append(label, box); return; }
  const pad = made("canvas", { width: 280, height: Math.round(280 * high / wide), tabIndex: 0 }), ink = pad.getContext("2d", { willReadFrequently: true });
  pad.setAttribute("aria-label", said.draw);
  pad.setAttribute("role", "img");
  const file = made("input", { type: "file", accept: "image/*", id: id + "-file" }), flip = made("input", { type: "checkbox", id: id + "-flip" });
  const clear = () => { ink.fillStyle = "#000"; ink.fillRect(0, 0, pad.width, pad.height); };
  const take = () => { // the mean of all points that become one
    const d = ink.getImageData(0, 0, pad.width, pad.height).data, found = [], down = pad.height / high, across = pad.width / wide;
    for (let i = 0; i < high; i++) for (let j = 0; j < wide; j++) {
      const sum = [0, 0, 0];
      let count = 0;
      for (let y = Math.floor(i * down); y < Math.max((i + 1) * down, Math.floor(i * down) + 1); y++)
        for (let x = Math.floor(j * across); x < Math.max((j + 1) * across, Math.floor(j * across) + 1); x++) {
          for (let k = 0; k < 3; k++) sum[k] += d[(y * pad.width + x) * 4 + k];
          count++;
        }
      const [r, g, b] = sum.map(v => v / count), grey = .299 * r + .587 * g + .114 * b;
      for (const v of colours === 1 ? [grey] : [r, g, b]) found.push(+((flip.checked ? 255 - v : v) * column.top / 255).toFixed(4));
    }
    box.value = found.join(",");
    show();
  };
  let last = null;
  const at = e => { const r = pad.getBoundingClientRect(); return [(e.clientX - r.left) * pad.width / r.width, (e.clientY - r.top) * pad.height / r.height]; };
  pad.onpointerdown = e => { pad.setPointerCapture(e.pointerId); last = at(e); };
  pad.onpointerup = pad.onpointercancel = () => { last = null; };
  pad.onpointermove = e => {
    if (!last) return;
    const next = at(e);
    Object.assign(ink, { lineCap: "round", lineJoin: "round", strokeStyle: "#fff", lineWidth: 22 });
    ink.beginPath(); ink.moveTo(...last); ink.lineTo(...next); ink.stroke();
    last = next;
    take();
  };
  const picture = async blob => {
    const found = await createImageBitmap(blob);
    clear();
    ink.imageSmoothingQuality = "high";
    ink.drawImage(found, 0, 0, pad.width, pad.height);
    take();
  };
  file.onchange = () => { if (file.files[0]) picture(file.files[0]); };
  pad.ondragover = e => e.preventDefault();
  pad.ondrop = e => { e.preventDefault(); if (e.dataTransfer.files[0]) picture(e.dataTransfer.files[0]); };
  flip.onchange = take;
  clear();
  form.append(
    made("p", { className: "field", textContent: said.draw }), pad,
    made("button", { type: "button", textContent: said.clear, onclick: () => { clear(); take(); } }),
    made("label", { htmlFor: file.id, textContent: said.choose }), file,
    made("label", { htmlFor: flip.id }, flip, " " + said.invert),
    made("details", {}, made("summary", { textContent: said.paste }), label, box));
}

function show() {
  const row = Object.fromEntries(Object.entries(readers).map(([name, read]) => [name, read()]));
  let found;
  try {
    found = model.answer(row);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    answers.replaceChildren(made("p", { className: "wrong", textContent: error.message }));
    return;
  }
  const unknown = model.unknown(row), outside = about.columns.filter(column => column.kind === "number" && column.low !== null)
    .filter(column => { const [value] = preparation({ ...about, columns: [column] }).inputs(row).numbers; return value < Math.fround(column.low) || value > Math.fround(column.high); });
  const notes = [...unknown.map(name => said.unknown.replace("{name}", name)), ...outside.map(column => said.outside.replace("{name}", column.header))];
  const shown = about.classes
    ? found.map((share, i) => [share, about.classes[i]]).sort((a, b) => b[0] - a[0]).slice(0, 10).map(([share, name]) => {
      const percent = (100 * share).toFixed(1) + " %", bar = made("meter", { min: 0, max: 1, value: share });
      bar.setAttribute("aria-label", `${name}: ${percent}`);
      return made("div", {}, made("div", { className: "answer" }, made("span", { textContent: name }), made("span", { textContent: percent })), bar);
    })
    : [made("p", { textContent: Number(found[0].toPrecision(6)) })];
  answers.replaceChildren(...shown, ...notes.map(text => made("p", { textContent: text })));
}

document.getElementById("label").textContent = about.label;
for (const column of about.columns) column.kind === "array" ? array(column) : field(column);
form.onsubmit = event => { event.preventDefault(); show(); };
form.oninput = show;
const checked = model.check(), line = document.getElementById("check");
line.textContent = (checked.wrong ? said.bad : said.good).replace("{rows}", checked.rows).replace("{wrong}", checked.wrong);
line.className = checked.wrong ? "bad" : "";
if (checked.wrong) { form.hidden = true; document.getElementById("label").hidden = true; } else show();
