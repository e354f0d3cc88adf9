// Asks a page's program in Node, without a browser: node ask_page.cjs PAGE.html ROWS.json OUT.json
// ROWS.json is [{column: text, or an array's numbers}, ...]; OUT.json gets {"check": the page's own, "answers": one a row,
// {"refused": text} for a row that the page doesn't take}.
"use strict";
const fs = require("node:fs"), vm = require("node:vm");
const html = fs.readFileSync(process.argv[2], "utf8"), rows = JSON.parse(fs.readFileSync(process.argv[3], "utf8"));
const between = (from, to) => { const at = html.indexOf(from) + from.length; return html.slice(at, html.indexOf(to, at)); };
const about = JSON.parse(between('id="about">', "</script>"));
const context = vm.createContext({ about, raw: Buffer.from(about.program.weights, "base64"), rows });
vm.runInContext(between('<script id="runtime">', "</script>"), context);
const found = vm.runInContext(`
  const bytes = Uint8Array.from(raw), model = answering(about, new Float32Array(bytes.buffer));
  ({ check: model.check(), answers: rows.map(row => {
    try { return model.answer(row); } catch (error) { if (error instanceof Refusal) return { refused: error.message }; throw error; }
  }) })`, context);
fs.writeFileSync(process.argv[4], JSON.stringify(found));
