"use strict";
// Runs a program that inside/steps.py wrote, for one row. A tensor is {s: shape, with a leading 1; d: numbers}.
function network(program, weights) {
  const size = shape => shape.reduce((a, b) => a * b, 1), tensor = (s, d) => ({ s, d });
  const stored = ([at, shape]) => tensor(shape, weights.subarray(at, at + size(shape)));
  const each = (x, f) => tensor(x.s, Float64Array.from(x.d, f));
  const erf = x => { // a series below 3, a continued fraction above
    const a = Math.abs(x);
    let found = a;
    if (a < 3) {
      for (let n = 1, term = a; n < 80; n++) { term *= -a * a / n; found += term / (2 * n + 1); }
      found *= 2 / Math.sqrt(Math.PI);
    } else {
      let below = 0;
      for (let n = 60; n > 0; n--) below = n / 2 / (a + below);
      found = 1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + below);
    }
    return x < 0 ? -found : found;
  };
  const sigmoid = x => 1 / (1 + Math.exp(-x)), softplus = x => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const hard = x => Math.min(Math.max(x / 6 + .5, 0), 1), silu = x => x * sigmoid(x);
  const selu = x => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x));
  const curves = {
    linear: x => x, relu: x => x > 0 ? x : x !== x ? x : 0, relu6: x => Math.min(Math.max(x, 0), 6), sigmoid,
    tanh: Math.tanh, softplus, softsign: x => x / (1 + Math.abs(x)), elu: x => x > 0 ? x : Math.expm1(x), selu,
    gelu: x => x / 2 * (1 + erf(x / Math.SQRT2)), silu, swish: silu, leaky_relu: x => x > 0 ? x : x * .2,
    hard_sigmoid: hard, hard_silu: x => x * hard(x), exponential: Math.exp, mish: x => x * Math.tanh(softplus(x)),
    log1p: Math.log1p, log: Math.log, exp: Math.exp, expm1: Math.expm1, sqrt: Math.sqrt, square: x => x * x,
    abs: Math.abs, negative: x => -x, sin: Math.sin, cos: Math.cos,
  };
  const pairs = {
    add: (a, b) => a + b, subtract: (a, b) => a - b, multiply: (a, b) => a * b, divide: (a, b) => a / b,
    maximum: Math.max, minimum: Math.min, equal: (a, b) => +(a === b), not_equal: (a, b) => +(a !== b),
    greater: (a, b) => +(a > b), greater_equal: (a, b) => +(a >= b), less: (a, b) => +(a < b),
    less_equal: (a, b) => +(a <= b),
  };
  // Where an output position of a window begins, and how many there are, as TensorFlow pads.
  const span = (n, k, step, wide, pad) => {
    const reach = (k - 1) * wide + 1, count = Math.ceil(pad === "valid" ? (n - reach + 1) / step : n / step);
    const before = pad === "same" ? Math.max((count - 1) * step + reach - n, 0) >> 1 : pad === "causal" ? reach - 1 : 0;
    return [Math.max(count, 0), before];
  };
  const picture = (x, line) => line ? [1, 1, x.s[1], x.s[2]] : x.s, back = (s, line) => line ? [1, s[2], s[3]] : s;
  const kinds = {
    dense([x], c, [kernel, bias]) {
      const [from, to] = kernel.s, rows = x.d.length / from, d = new Float64Array(rows * to);
      for (let r = 0; r < rows; r++) for (let i = 0; i < from; i++) {
        const v = x.d[r * from + i];
        if (v !== 0) for (let o = 0; o < to; o++) d[r * to + o] += v * kernel.d[i * to + o];
      }
      if (bias) for (let j = 0; j < d.length; j++) d[j] += bias.d[j % to];
      return tensor([...x.s.slice(0, -1), to], d);
    },
    conv([x], c, [kernel, bias]) {
      const [, H, W, C] = picture(x, c.line), [kh, kw, each, O] = kernel.s, group = O / c.g;
      const [oh, top] = span(H, kh, c.st[0], c.di[0], c.pad === "causal" ? "valid" : c.pad);
      const [ow, left] = span(W, kw, c.st[1], c.di[1], c.pad), d = new Float64Array(oh * ow * O);
      for (let y = 0; y < oh; y++) for (let z = 0; z < ow; z++) {
        const at = (y * ow + z) * O;
        if (bias) for (let o = 0; o < O; o++) d[at + o] = bias.d[o];
        for (let i = 0; i < kh; i++) {
          const yy = y * c.st[0] + i * c.di[0] - top;
          if (yy < 0 || yy >= H) continue;
          for (let j = 0; j < kw; j++) {
            const zz = z * c.st[1] + j * c.di[1] - left;
            if (zz < 0 || zz >= W) continue;
            for (let q = 0; q < C; q++) {
              const v = x.d[(yy * W + zz) * C + q], first = Math.floor(q / each) * group;
              const row = ((i * kw + j) * each + q % each) * O;
              for (let o = first; o < first + group; o++) d[at + o] += v * kernel.d[row + o];
            }
          }
        }
      }
      return tensor(back([1, oh, ow, O], c.line), d);
    },
    pool([x], c) {
      const [, H, W, C] = picture(x, c.line), [oh, top] = span(H, c.k[0], c.st[0], 1, c.pad);
      const [ow, left] = span(W, c.k[1], c.st[1], 1, c.pad), d = new Float64Array(oh * ow * C);
      for (let y = 0; y < oh; y++) for (let z = 0; z < ow; z++) for (let q = 0; q < C; q++) {
        let found = c.max ? -Infinity : 0, count = 0;
        for (let i = 0; i < c.k[0]; i++) for (let j = 0; j < c.k[1]; j++) {
          const yy = y * c.st[0] + i - top, zz = z * c.st[1] + j - left;
          if (yy < 0 || yy >= H || zz < 0 || zz >= W) continue;
          const v = x.d[(yy * W + zz) * C + q];
          found = c.max ? Math.max(found, v) : found + v;
          count++;
        }
        d[(y * ow + z) * C + q] = c.max ? found : found / count;
      }
      return tensor(back([1, oh, ow, C], c.line), d);
    },
    over_all([x], c) {
      const C = x.s[x.s.length - 1], rows = x.d.length / C, d = new Float64Array(C).fill(c.max ? -Infinity : 0);
      for (let j = 0; j < x.d.length; j++) d[j % C] = c.max ? Math.max(d[j % C], x.d[j]) : d[j % C] + x.d[j];
      if (!c.max) for (let q = 0; q < C; q++) d[q] /= rows;
      return tensor(c.keep ? [...x.s.slice(0, -1).map(() => 1), C] : [1, C], d);
    },
    shift: ([x], c, [mean, scale]) => each(x, (v, i) => {
      const m = mean.d[i % mean.d.length], s = scale.d[i % scale.d.length];
      return c.invert ? v * s + m : (v - m) / s;
    }),
    affine: ([x], c, [a, b]) => each(x, (v, i) => v * a.d[i % a.d.length] + b.d[i % b.d.length]),
    layer_norm([x], c, [gain, offset]) {
      const C = gain.d.length, d = new Float64Array(x.d.length);
      for (let r = 0; r < d.length; r += C) {
        let mean = 0, spread = 0;
        for (let i = 0; i < C; i++) mean += x.d[r + i] / C;
        for (let i = 0; i < C; i++) spread += (x.d[r + i] - mean) ** 2 / C;
        for (let i = 0; i < C; i++) d[r + i] = (x.d[r + i] - mean) / Math.sqrt(spread + c.eps) * gain.d[i] + offset.d[i];
      }
      return tensor(x.s, d);
    },
    curve([x], c) {
      if (c.f !== "softmax") return each(x, v => curves[c.f](v));
      const C = x.s[x.s.length - 1], d = new Float64Array(x.d.length);
      for (let r = 0; r < d.length; r += C) {
        let most = -Infinity, sum = 0;
        for (let i = 0; i < C; i++) most = Math.max(most, x.d[r + i]);
        for (let i = 0; i < C; i++) sum += d[r + i] = Math.exp(x.d[r + i] - most);
        for (let i = 0; i < C; i++) d[r + i] /= sum;
      }
      return tensor(x.s, d);
    },
    leaky: ([x], c) => each(x, v => v > 0 ? v : v * c.a),
    nan: ([x], c) => each(x, v => v !== v ? c.v : v === Infinity ? c.high : v === -Infinity ? c.low : v),
    cast: ([x], c) => c.to === "float32" ? x : each(x, c.to === "bool" ? v => +(v !== 0) : Math.trunc),
    shape: ([x], c) => tensor([1, ...c.to], x.d),
    take([x], c) {
      const inner = size(x.s.slice(c.axis + 1)), outer = size(x.s.slice(0, c.axis)), n = x.s[c.axis];
      const d = new Float64Array(outer * c.of.length * inner);
      for (let o = 0; o < outer; o++) c.of.forEach((from, to) => {
        for (let i = 0; i < inner; i++) d[(o * c.of.length + to) * inner + i] = x.d[(o * n + from) * inner + i];
      });
      return tensor([...x.s.slice(0, c.axis), c.of.length, ...x.s.slice(c.axis + 1)], d);
    },
    embed([x], c, [table]) {
      const C = table.s[1], d = new Float64Array(x.d.length * C);
      x.d.forEach((v, r) => { for (let i = 0; i < C; i++) d[r * C + i] = table.d[v * C + i]; });
      return tensor([...x.s, C], d);
    },
    concat(parts, c) {
      const shape = [...parts[0].s], outer = size(shape.slice(0, c.axis));
      shape[c.axis] = parts.reduce((sum, x) => sum + x.s[c.axis], 0);
      const d = new Float64Array(size(shape)), row = size(shape.slice(c.axis));
      let at = 0;
      for (const x of parts) {
        const wide = size(x.s.slice(c.axis));
        for (let o = 0; o < outer; o++) for (let i = 0; i < wide; i++) d[o * row + at + i] = x.d[o * wide + i];
        at += wide;
      }
      return tensor(shape, d);
    },
    stack: (parts, c) => kinds.concat(parts.map(x => tensor([...x.s.slice(0, c.axis), 1, ...x.s.slice(c.axis)], x.d)), c),
    pair([x, y], c) { // an axis of 1, or one that is not there, stands for any size
      const rank = Math.max(x.s.length, y.s.length), longer = s => [...Array(rank - s.length).fill(1), ...s];
      const a = longer(x.s), b = longer(y.s), shape = a.map((n, i) => Math.max(n, b[i])), d = new Float64Array(size(shape));
      for (let j = 0; j < d.length; j++) {
        let rest = j, p = 0, q = 0, wide = 1, high = 1;
        for (let i = rank - 1; i >= 0; i--) {
          const at = rest % shape[i];
          rest = (rest - at) / shape[i];
          p += (a[i] === 1 ? 0 : at) * wide; q += (b[i] === 1 ? 0 : at) * high;
          wide *= a[i]; high *= b[i];
        }
        d[j] = pairs[c.f](x.d[p], y.d[q]);
      }
      return tensor(shape, d);
    },
  };
  const steps = program.steps.map(([kind, ins, out, c, w]) =>
    [kinds[kind], ins.map(i => typeof i === "object" ? stored(i.c) : i), out, c, w.map(stored)]);
  return given => { // {input: numbers} -> the numbers of the last layer
    const values = Array(program.places);
    for (const [name, place] of Object.entries(program.inputs))
      values[place] = tensor([1, ...program.shapes[name]], given[name]);
    for (const [run, ins, out, c, w] of steps) values[out] = run(ins.map(i => typeof i === "object" ? i : values[i]), c, w);
    return Array.from(values[program.out].d);
  };
}
