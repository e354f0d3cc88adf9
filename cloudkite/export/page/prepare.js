"use strict";
// What a person types, column by column, as the file has it -> the network's inputs, as kit/prepare.py makes them.
class Refusal extends Error {} // a field that says no number or no date
function preparation(about) {
  const { columns } = about, missing = new Set(about.missing);
  const clean = text => text.replace(/[\u200b\u2060\ufeff]/g, "").split(/\s+/u).filter(part => part).join(" ").normalize("NFC");
  const blank = text => { const plain = clean(text).toLowerCase(); return !plain || missing.has(plain); };
  const wrong = (column, key, text) => new Refusal(about.said[key].replace("{name}", column.header).replace("{text}", text.slice(0, 40)));
  const places = new Map(columns.filter(c => c.words).map(c => [c.name, new Map(c.words.map((word, i) => [word, i]))]));
  const plainly = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

  function number(text, column) { // NaN for a blank one
    if (blank(text)) return NaN;
    let plain = clean(text.normalize("NFKC")).replace(/[\u2212\u2012-\u2014]/g, "-");
    if (column.style === "clock" && /^\d{1,3}:[0-5]\d(:[0-5]\d)?$/.test(plain)) {
      const [hours, minutes, seconds = 0] = plain.split(":").map(Number);
      return Math.fround(hours + minutes / 60 + seconds / 3600);
    }
    if (column.style !== "german" && plainly.test(plain)) return finite(Number(plain), text, column);
    if (column.unit) { // one that the training data had beside their numbers
      const unit = column.unit.normalize("NFKC").toLowerCase(), lower = plain.toLowerCase();
      if (lower.endsWith(unit)) plain = plain.slice(0, -unit.length).trim();
      else if (lower.startsWith(unit)) plain = plain.slice(unit.length).trim();
    }
    if (column.style === "german" && /^[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?$/.test(plain))
      plain = plain.replace(/\./g, "").replace(",", ".");
    else if (/^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$/.test(plain)) plain = plain.replace(/,/g, "");
    if (!plainly.test(plain)) throw wrong(column, "number", text);
    return finite(Number(plain), text, column);
  }
  function finite(value, text, column) {
    if (!Number.isFinite(Math.fround(value))) throw wrong(column, "number", text);
    return Math.fround(value);
  }

  function moment(text, column) { // [year, month, day, hour, minute], or null for a blank one
    if (blank(text)) return null;
    const plain = clean(text), time = "(?:[T ]+(\\d{1,2}):(\\d\\d).*)?$";
    let found = plain.match(RegExp("^(\\d{4})-(\\d\\d)-(\\d\\d)" + time));
    if (!found && column.order) {
      const parts = plain.match(RegExp("^(\\d{1,4})[-./ ]+(\\d{1,2})[-./ ]+(\\d{1,4})\\.?" + time));
      if (parts) { const by = n => parts[1 + column.order.indexOf(n)]; found = [0, by("y"), by("m"), by("d"), parts[4], parts[5]]; }
      if (found && found[1].length !== 4) found = null;
    }
    const [year, month, day, hour, minute] = (found ?? []).slice(1).map(part => Number(part ?? 0));
    const real = found && new Date(Date.UTC(year, month - 1, day));
    if (!real || real.getUTCMonth() !== month - 1 || real.getUTCDate() !== day || hour > 23 || minute > 59) throw wrong(column, "date", text);
    return [year, month, day, hour, minute];
  }
  function calendar(text, column) {
    const found = moment(text, column);
    if (!found) return Array(8).fill(NaN);
    const [year, month, day, hour, minute] = found, days = Math.round(Date.UTC(year, month - 1, day) / 86400000);
    const turn = (count, of) => Math.fround(Math.fround(count) * Math.fround(2 * Math.PI / of));
    const in_year = turn((month - 1) * 31 + day - 1, 372), in_day = turn(hour * 60 + minute, 1440);
    return [days, year, month, (((days + 3) % 7) + 7) % 7, Math.sin(in_year), Math.cos(in_year), Math.sin(in_day), Math.cos(in_day)];
  }

  function parts(text, column) { // words of two letters and more, or letters; and those that stand in a row
    const lower = text.toLowerCase(), letters = column.kind === "letters";
    const found = letters
      ? Array.from(lower.replace(/[\t\n\v\f\r \x1c-\x1f\x85\p{Z}]{2,}/gu, " "))
      : lower.replace(/[^\p{L}\p{N}_]+/gu, " ").split(" ").filter(word => Array.from(word).length > 1);
    const rows = [];
    for (let n = 1; n <= column.ngrams; n++) for (let i = 0; i + n <= found.length; i++) rows.push(found.slice(i, i + n).join(letters ? "" : " "));
    return rows;
  }
  function counts(text, column) {
    const made = new Float64Array(column.words.length), table = places.get(column.name);
    if (!blank(text)) for (const part of parts(text, column)) if (table.has(part)) made[table.get(part)]++;
    return made;
  }

  function place(text, column) { // 0 for a word that was never seen
    const table = places.get(column.name), plain = clean(text);
    if (table.has(text)) return 1 + table.get(text);
    if (table.has(plain)) return 1 + table.get(plain);
    return blank(text) && table.has("") ? 1 + table.get("") : 0;
  }

  function array(value, column) {
    const count = column.sizes.reduce((a, b) => a * b, 1);
    const fields = typeof value === "string" ? value.split(/[\s,;[\]]+/).filter(part => part) : Array.from(value);
    if (fields.length !== count) throw wrong(column, "array", String(fields.length));
    return Float64Array.from(fields, part => part === null ? NaN : typeof part === "number" ? Math.fround(part) : number(part, column));
  }

  const of = kind => columns.filter(column => column.kind === kind);
  return {
    place, clean,
    unknown: row => of("category").filter(column => place(row[column.name] ?? "", column) === 0).map(column => column.header),
    inputs(row) { // {column: text, or an array's numbers} -> {input: numbers}; throws Refusal
      const text = column => String(row[column.name] ?? "");
      const made = {}, numbers = of("number").map(column => number(text(column), column)).concat(...of("date").map(column => calendar(text(column), column)));
      if (numbers.length) made.numbers = numbers;
      let first = 0;
      const ids = of("category").map(column => { const id = place(text(column), column) + first; first += column.words.length + 1; return id; });
      if (ids.length) made.words = ids;
      const counted = columns.filter(column => column.kind === "text" || column.kind === "letters").map(column => counts(text(column), column));
      if (counted.length) made.counts = counted.flatMap(found => Array.from(found));
      for (const column of of("array")) made[column.name] = array(row[column.name] ?? "", column);
      return made;
    },
  };
}
// The whole model: a row as a person has it -> the label's number, or one probability a class.
function answering(about, weights) {
  const prepared = preparation(about), run = network(about.program, weights);
  const answer = row => {
    const found = run(prepared.inputs(row));
    return about.classes && found.length === 1 && about.classes.length === 2 ? [1 - found[0], found[0]] : found;
  };
  const largest = Math.max(1, ...about.expected.flat().map(Math.abs));
  const far = (found, wanted) => Math.max(...wanted.map((w, i) => Math.abs(w - found[i]) / largest));
  return { answer, unknown: prepared.unknown, far, check() { // rows of the training data with Keras' answers
    let wrong = 0, worst = 0;
    about.rows.forEach((row, i) => { const d = far(answer(row), about.expected[i]); if (!(d <= about.tolerance)) wrong++; worst = Math.max(worst, d); });
    return { rows: about.rows.length, wrong, worst };
  } };
}
