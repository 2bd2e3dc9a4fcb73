// Decodes the soft_targets column: written from its description on the dataset card alone.
const UNKNOWN = 15;

class Decoder {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.code = 0;
    this.range = 0xffffffff;
    this.models = Array.from({ length: 71 }, () => ({ c: Array.from({ length: 17 }, (_, i) => 2048 * i), seen: 0 }));
    for (let i = 0; i < 4; i++) this.code = this.code * 256 + this.next();
  }

  next() {
    return this.at < this.bytes.length ? this.bytes[this.at++] : 0;
  }

  narrow(unit, start, width) {
    this.code -= unit * start;
    this.range = unit * width;
    while (this.range < 2 ** 24) {
      this.range *= 256;
      this.code = this.code * 256 + this.next();
    }
  }

  bits(n) {
    const unit = Math.floor(this.range / 2 ** n);
    const value = Math.min(Math.floor(this.code / unit), 2 ** n - 1);
    this.narrow(unit, value, 1);
    return value;
  }

  nibble(m) {
    const model = this.models[m];
    const unit = Math.floor(this.range / 32768);
    const position = Math.min(Math.floor(this.code / unit), 32767);
    let s = 15;
    while (model.c[s] > position) s--;
    this.narrow(unit, model.c[s], model.c[s + 1] - model.c[s]);
    const seen = model.seen++;
    const rate = seen < 1 ? 1 : seen < 3 ? 2 : seen < 7 ? 3 : seen < 16 ? 4 : seen < 63 ? 5 : 6;
    for (let i = 0; i < 16; i++) model.c[i] += ((i <= s ? 8 * i : 32768 - 8 * (16 - i)) - model.c[i]) >> rate;
    return s;
  }

  number(m) {
    let length = this.nibble(m);
    if (length === 15) length += this.nibble(m + 1);
    if (length <= 1) return length;
    let value = 1;
    if (length - 1 > 16) value = value * 2 ** (length - 17) + this.bits(length - 17);
    const low = Math.min(length - 1, 16);
    return value * 2 ** low + this.bits(low);
  }

  relative(a, b, reference) {
    const sign = this.nibble(a);
    return sign === 0 ? reference + this.number(b) : sign === 1 ? reference - this.number(b) : null;
  }
}

const gap = (s) => (s < 0 ? -gap(-s) : s <= 1008 ? -2 * Math.log(1 - s / 1024) : 2 * Math.log(64) + (s - 1008) / 8);

/** @returns {{ tokenIds: number[], logprobs: number[], topIds: number[][], topLogprobs: number[][], tails: number[] }} */
export function decodeSoftTargets(value, n, k) {
  if (value[0] !== 1) throw new Error(`version ${value[0]}`);
  const d = new Decoder(value.subarray(1));
  const ids = [];
  const id = () => {
    const j = d.number(67);
    if (j === 0) {
      ids.push(d.number(69));
      return ids.at(-1);
    }
    const to = Math.floor((j - 1) / 2);
    [ids[j - 1], ids[to]] = [ids[to], ids[j - 1]];
    return ids[to];
  };

  const out = { tokenIds: [], logprobs: [], topIds: [], topLogprobs: [], tails: [] };
  const afterPair = new Map();
  const afterToken = new Map();
  let [a, b, lastRank] = [-1, -1, 0];
  for (let t = 0; t < n; t++) {
    const c = d.nibble(0) === 0 ? k : k - d.number(1);
    const steps = [0];
    for (let i = 1; i < c; i++) {
      const rankClass = i === 1 ? 0 : i < 5 ? 1 : 2;
      const context = steps[i - 1] >= 1008 ? 0 : Math.floor(Math.log2(1024 - steps[i - 1])) - 3;
      steps.push(steps[i - 1] + d.number(13 + 2 * (8 * rankClass + context)));
    }
    const tail = c > 0 ? d.relative(7, 8, steps[c - 1]) : 0;

    const pair = `${a},${b}`;
    const order = afterPair.has(pair) ? 2 : afterToken.has(b) ? 1 : 0;
    const expected = [...((order === 2 ? afterPair.get(pair) : order === 1 ? afterToken.get(b) : out.topIds[t - 1]) ?? [])];
    const row = [];
    for (let i = 0; i < c; i++) {
      const e = d.nibble(61 + 2 * order + (i === 0 ? 0 : 1));
      row.push(e === UNKNOWN ? id() : expected.splice(e, 1)[0]);
    }

    const last = c > 0 ? steps[c - 1] : 0;
    const r = d.nibble(lastRank === 0 ? 3 : 4);
    lastRank = r;
    const rank = r < 14 ? r : r === 14 ? 14 + d.number(5) : null;
    const drawn = rank === null ? id() : row[rank];
    const drawnSteps = rank === null ? d.relative(10, 11, last) : steps[rank];

    const used = steps.slice(0, c);
    const z = used.reduce((sum, s) => sum + Math.exp(-gap(s)), tail === null ? 0 : Math.exp(-gap(tail)));
    out.topIds.push(row);
    out.topLogprobs.push(used.map((s) => -gap(s) - Math.log(z)));
    out.tails.push(tail === null ? null : -gap(tail) - Math.log(z));
    out.tokenIds.push(drawn);
    out.logprobs.push(-gap(drawnSteps) - Math.log(z));
    afterPair.set(pair, row);
    afterToken.set(b, row);
    [a, b] = [b, drawn];
  }
  return out;
}
