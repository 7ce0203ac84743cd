// QR codes (ISO/IEC 18004): byte mode, error correction level L, versions 1 to 15; enough for a link payload.

/** Per version at level L: data codewords in all, error correction codewords a block, blocks. */
const VERSIONS = [
  [19, 7, 1], [34, 10, 1], [55, 15, 1], [80, 20, 1], [108, 26, 1], [136, 18, 2], [156, 20, 2], [194, 24, 2],
  [232, 30, 2], [274, 18, 4], [324, 20, 4], [370, 24, 4], [428, 26, 4], [461, 30, 4], [523, 22, 6],
];
const ALIGNMENT = [
  [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50], [6, 30, 54],
  [6, 32, 58], [6, 34, 62], [6, 26, 46, 66], [6, 26, 48, 70],
];

const EXP = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power++) {
  EXP[power] = EXP[power + 255] = value;
  LOG[value] = power;
  value = (value << 1) ^ (value & 0x80 ? 0x11d : 0);
}

/** @param {number} a @param {number} b */
const times = (a, b) => (a && b ? at(EXP, at(LOG, a) + at(LOG, b)) : 0);

/** @param {ArrayLike<number>} list @param {number} index */
const at = (list, index) => list[index] ?? 0;

/** The remainder of data·x^n by the generator of degree n. @param {number[]} data @param {number} degree */
function correction(data, degree) {
  let generator = [1];
  for (let root = 0; root < degree; root++) {
    const next = [...generator, 0];
    generator.forEach((coefficient, i) => (next[i + 1] = at(next, i + 1) ^ times(coefficient, at(EXP, root))));
    generator = next;
  }
  const rest = [...data, ...new Array(degree).fill(0)];
  for (let i = 0; i < data.length; i++) {
    const lead = at(rest, i);
    if (lead) generator.forEach((coefficient, j) => (rest[i + j] = at(rest, i + j) ^ times(coefficient, lead)));
  }
  return rest.slice(data.length);
}

/** @param {Uint8Array} bytes @param {number} version */
function codewords(bytes, version) {
  const [capacity = 0, degree = 0, blocks = 1] = VERSIONS[version - 1] ?? [];
  /** @type {number[]} */
  const bits = [];
  /** @param {number} value @param {number} length */
  const put = (value, length) => {
    for (let i = length - 1; i >= 0; i--) bits.push((value >> i) & 1);
  };
  put(0b0100, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  bytes.forEach((byte) => put(byte, 8));
  put(0, Math.min(4, capacity * 8 - bits.length));
  while (bits.length % 8) bits.push(0);
  const data = [];
  for (let i = 0; i < bits.length; i += 8) data.push(bits.slice(i, i + 8).reduce((byte, bit) => (byte << 1) | bit, 0));
  for (let pad = 0xec; data.length < capacity; pad ^= 0xec ^ 0x11) data.push(pad);

  const short = Math.floor(capacity / blocks);
  const longs = capacity % blocks;
  const parts = [];
  for (let block = 0, from = 0; block < blocks; block++) {
    const size = short + (block >= blocks - longs ? 1 : 0);
    const part = data.slice(from, (from += size));
    parts.push({ part, check: correction(part, degree) });
  }
  const out = [];
  for (let i = 0; i <= short; i++) for (const { part } of parts) if (i < part.length) out.push(at(part, i));
  for (let i = 0; i < degree; i++) for (const { check } of parts) out.push(at(check, i));
  return out;
}

/** Bits of a value followed by its BCH remainder. @param {number} value @param {number} degree @param {number} generator */
function bch(value, degree, generator) {
  let rest = value << degree;
  for (let bit = 31 - degree; bit >= 0; bit--) if ((rest >> (bit + degree)) & 1) rest ^= generator << bit;
  return (value << degree) | rest;
}

/** @type {((x: number, y: number) => boolean)[]} */
const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(y / 2) + Math.floor(x / 3)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

class Matrix {
  /** @param {number} version */
  constructor(version) {
    this.size = 17 + 4 * version;
    this.dark = new Uint8Array(this.size ** 2);
    this.fixed = new Uint8Array(this.size ** 2);
  }

  /** @param {number} x @param {number} y @param {boolean | number} dark */
  fix(x, y, dark) {
    if (x < 0 || y < 0 || x >= this.size || y >= this.size) return;
    this.dark[y * this.size + x] = dark ? 1 : 0;
    this.fixed[y * this.size + x] = 1;
  }

  /** @param {number} version */
  patterns(version) {
    const far = this.size - 7;
    for (let i = 0; i < this.size; i++) {
      this.fix(6, i, i % 2 === 0);
      this.fix(i, 6, i % 2 === 0);
    }
    for (const [left, top] of /** @type {const} */ ([[0, 0], [far, 0], [0, far]])) {
      for (let y = -1; y <= 7; y++) {
        for (let x = -1; x <= 7; x++) {
          const ring = Math.max(Math.abs(x - 3), Math.abs(y - 3));
          this.fix(left + x, top + y, ring !== 2 && ring !== 4);
        }
      }
    }
    const centres = ALIGNMENT[version - 1] ?? [];
    const last = centres.length - 1;
    centres.forEach((cy, row) => centres.forEach((cx, column) => {
      if ((row === 0 && column === 0) || (row === 0 && column === last) || (row === last && column === 0)) return;
      for (let y = -2; y <= 2; y++) {
        for (let x = -2; x <= 2; x++) this.fix(cx + x, cy + y, Math.max(Math.abs(x), Math.abs(y)) !== 1);
      }
    }));
    if (version >= 7) {
      const bits = bch(version, 12, 0x1f25);
      for (let i = 0; i < 18; i++) {
        const a = this.size - 11 + (i % 3);
        const b = Math.floor(i / 3);
        this.fix(a, b, (bits >> i) & 1);
        this.fix(b, a, (bits >> i) & 1);
      }
    }
    this.format(0);
  }

  /** @param {number} mask */
  format(mask) {
    const bits = bch((0b01 << 3) | mask, 10, 0x537) ^ 0x5412; // 01: level L
    for (let i = 0; i < 15; i++) {
      const bit = (bits >> i) & 1;
      this.fix(8, i < 6 ? i : i < 8 ? i + 1 : this.size - 15 + i, bit);
      this.fix(i < 8 ? this.size - 1 - i : i < 9 ? 7 : 14 - i, 8, bit);
    }
    this.fix(8, this.size - 8, true);
  }

  /** @param {number[]} words */
  fill(words) {
    let bit = 0;
    let up = true;
    for (let right = this.size - 1; right > 0; right -= 2, up = !up) {
      if (right === 6) right = 5;
      for (let step = 0; step < this.size; step++) {
        const y = up ? this.size - 1 - step : step;
        for (const x of [right, right - 1]) {
          const index = y * this.size + x;
          if (this.fixed[index]) continue;
          this.dark[index] = (at(words, bit >> 3) >> (7 - (bit & 7))) & 1;
          bit++;
        }
      }
    }
  }

  /** @param {number} mask */
  apply(mask) {
    const covers = MASKS[mask];
    for (let y = 0; y < this.size; y++) {
      for (let x = 0; x < this.size; x++) {
        const index = y * this.size + x;
        if (!this.fixed[index] && covers?.(x, y)) this.dark[index] = at(this.dark, index) ^ 1;
      }
    }
  }

  /** How hard to read: long runs, blocks, false finders, imbalance. */
  penalty() {
    const { size, dark } = this;
    let score = 0;
    for (const [across, down] of /** @type {const} */ ([[1, size], [size, 1]])) {
      for (let line = 0; line < size; line++) {
        let text = '';
        for (let i = 0; i < size; i++) text += at(dark, line * down + i * across);
        for (const run of text.match(/0{5,}|1{5,}/g) ?? []) score += run.length - 2;
        for (let i = 0; i + 11 <= size; i++) {
          const part = text.slice(i, i + 11);
          if (part === '10111010000' || part === '00001011101') score += 40;
        }
      }
    }
    for (let i = 0; i < size * (size - 1) - 1; i++) {
      if (i % size === size - 1) continue;
      const sum = at(dark, i) + at(dark, i + 1) + at(dark, i + size) + at(dark, i + size + 1);
      if (sum % 4 === 0) score += 3;
    }
    const share = dark.reduce((sum, bit) => sum + bit, 0) / dark.length;
    return score + 10 * Math.floor(Math.abs(share * 20 - 10));
  }
}

/** The modules of a text's code, row by row, 1 for dark. @param {string} text */
export function qr(text) {
  const bytes = new TextEncoder().encode(text);
  const version = 1 + VERSIONS.findIndex(([capacity = 0], i) => bytes.length + (i < 9 ? 2 : 3) <= capacity);
  if (!version) throw new RangeError('too long for these QR versions');
  const matrix = new Matrix(version);
  matrix.patterns(version);
  matrix.fill(codewords(bytes, version));
  let best = 0;
  let least = Infinity;
  for (let mask = 0; mask < MASKS.length; mask++) {
    matrix.apply(mask);
    matrix.format(mask);
    const penalty = matrix.penalty();
    if (penalty < least) [best, least] = [mask, penalty];
    matrix.apply(mask);
  }
  matrix.apply(best);
  matrix.format(best);
  return { size: matrix.size, dark: matrix.dark, version, mask: best };
}

/** Draw a text's code, with its quiet zone, sharp on any screen. @param {HTMLCanvasElement} canvas @param {string} text */
export function draw(canvas, text) {
  const { size, dark } = qr(text);
  const quiet = 3;
  const scale = 6;
  canvas.width = canvas.height = (size + 2 * quiet) * scale;
  const context = canvas.getContext('2d');
  if (!context) return;
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = '#111b21';
  dark.forEach((bit, index) => {
    if (!bit) return;
    context.fillRect((quiet + (index % size)) * scale, (quiet + Math.floor(index / size)) * scale, scale, scale);
  });
}
