"use strict";
// Two models on the same rows, by the rules of `rmeval compare` (rmeval/metrics/paired.py, which
// says where each is from): the difference of every metric, its interval and its test.
// The page has what each row counts with each model (rmeval/reports/site/verdicts.py).
//
// Where rows weigh alike the test is McNemar's exact one. Where they do not, `rmeval compare` draws
// 100,000 times; here the distribution of those draws is computed, so that p has no chance in it.
const ALPHA = 0.05;
const MOST_STEPS = 1e6; // additions with which sums are kept apart; beyond, they go on a lattice
const FINE = 1 << 16, COARSE = 1 << 14, MANY_KINDS = 100; // its places, fewer for many sizes of effects
const REACH = 12; // standard deviations that it spans to either side

async function readVerdicts(packed) {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
const CODES = Object.fromEntries([...LETTERS].map((letter, code) => [letter, code]));
function creditsOf({ values, letters }) {
  if (letters === undefined) return values;
  return Float64Array.from(letters, (letter) => values[CODES[letter]]);
}

// Every difference of b minus a, with Holm's correction among the metrics of each level.
function compareModels(group, a, b) {
  const weighting = group.of[a] === group.of[b] ? group.of[a] : group.default;
  const [creditsA, creditsB] = [a, b].map((key) => group.credits[key].map(creditsOf));
  const found = group.weightings[weighting].map((metric) => {
    const rows = changeOf(group, metric, creditsA, creditsB);
    const value = rows.b - rows.a, effects = byUnit(rows);
    return {
      name: metric.name, label: metric.label, level: metric.level, a: rows.a, b: rows.b, value,
      interval: studentInterval(value, rows), p: flipTest(effects),
      onlyA: rows.change.filter((change) => change < 0).length,
      onlyB: rows.change.filter((change) => change > 0).length,
    };
  });
  for (const level of new Set(found.map((one) => one.level))) holm(found.filter((one) => one.level === level));
  return { weighting, differences: found };
}

// The rows of a metric: their shares in it, what each counts more with b, and where it is.
function changeOf(group, metric, creditsA, creditsB) {
  const rows = { shares: [], change: [], strata: [], units: [], ids: [], a: 0, b: 0 };
  let number = 0;
  group.strata.forEach((stratum, place) => {
    const blocks = new Map(); // leaves that weigh the rows alike
    stratum.leaves.forEach((leaf, column) => {
      const share = metric.shares[leaf];
      if (!share) return;
      const key = JSON.stringify(stratum.weights[column]);
      if (!blocks.has(key)) blocks.set(key, []);
      blocks.get(key).push([column, share]);
    });
    for (const leaves of blocks.values()) {
      const told = stratum.weights[leaves[0][0]], many = stratum.ids.length, width = stratum.leaves.length;
      const weights = typeof told === "number" ? new Array(many).fill(told) : told;
      const whole = sum(leaves.map((leaf) => leaf[1])), scale = whole / sum(weights);
      for (let row = 0; row < many; row++) {
        if (!(weights[row] > 0)) continue;
        let countedA = 0, countedB = 0;
        for (const [column, share] of leaves) {
          countedA += (share / whole) * creditsA[place][row * width + column];
          countedB += (share / whole) * creditsB[place][row * width + column];
        }
        const share = weights[row] * scale;
        rows.a += share * countedA;
        rows.b += share * countedB;
        rows.shares.push(share);
        rows.change.push(countedB - countedA);
        rows.strata.push(number);
        rows.units.push(stratum.units[row]);
        rows.ids.push(stratum.ids[row]);
      }
      number++;
    }
  });
  return rows;
}

function sum(values) {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

// Sums of values by code; codes are whole numbers.
function sumBy(codes, values) {
  const sums = new Map();
  codes.forEach((code, place) => sums.set(code, (sums.get(code) || 0) + values[place]));
  return sums;
}

function byUnit({ units, shares, change }) {
  return [...sumBy(units, shares.map((share, place) => share * change[place])).values()];
}

// How likely a sum of effects this far from 0 is if every sign were a coin's.
function flipTest(all) {
  const largest = Math.max(0, ...all.map(Math.abs));
  if (largest === 0) return 1;
  const sized = all.map((effect) => [Math.sign(effect), Math.round((Math.abs(effect) / largest) * 1e9) / 1e9]);
  const effects = sized.filter((one) => one[1] > 0), kinds = new Map();
  for (const [, size] of effects) kinds.set(size, (kinds.get(size) || 0) + 1);
  if (kinds.size === 1) {
    const gained = effects.filter((one) => one[0] > 0).length;
    return signTest(Math.min(gained, effects.length - gained), effects.length);
  }
  const observed = Math.abs(sum(effects.map(([sign, size]) => sign * size)));
  return exactTail(kinds, observed) ?? latticeTail(kinds, observed);
}

// The sign test: twice the binomial probability of so few or fewer of n, at one half.
function signTest(fewer, n) {
  let log = -n * Math.LN2, total = 0;
  for (let k = 0; k <= fewer; k++) {
    total += Math.exp(log);
    log += Math.log((n - k) / (k + 1));
  }
  return Math.min(1, 2 * total);
}

// What the effects of one size may sum to, each with its probability; what is under e-80 is left out.
function atomsOf(size, n) {
  const atoms = [], middle = n >> 1;
  let log = -n * Math.LN2;
  for (let k = 1; k <= middle; k++) log += Math.log((n - k + 1) / k);
  const walk = (start, end, step, first) => {
    for (let k = start, now = first; k !== end && now > -80; k += step) {
      atoms.push([size * (2 * k - n), Math.exp(now)]);
      now += step > 0 ? Math.log((n - k) / (k + 1)) : Math.log(k / (n - k + 1));
    }
  };
  walk(middle, n + 1, 1, log);
  if (middle > 0) walk(middle - 1, -1, -1, log + Math.log(middle / (n - middle + 1)));
  return atoms;
}

// The probability of sums at least as far from 0, kept apart to 1e-7; null where they are too many.
function exactTail(kinds, observed) {
  let sums = new Map([[0, 1]]), steps = 0;
  for (const [size, n] of kinds) {
    const atoms = atomsOf(size, n), next = new Map();
    steps += sums.size * atoms.length;
    if (steps > MOST_STEPS) return null;
    for (const [at, mass] of sums) {
      for (const [move, chance] of atoms) {
        const place = at + Math.round(move * 1e7);
        next.set(place, (next.get(place) || 0) + mass * chance);
      }
    }
    sums = next;
  }
  let tail = 0;
  for (const [at, mass] of sums) if (Math.abs(at) >= observed * 1e7 - 10) tail += mass;
  return Math.min(1, tail);
}

// The same where sums are so many that they lie as close as on a line: mass that falls between two
// places is shared by them, which keeps its mean; the variance that this adds is taken out again.
function latticeTail(kinds, observed) {
  let variance = 0;
  for (const [size, n] of kinds) variance += n * size * size;
  const places = kinds.size > MANY_KINDS ? COARSE : FINE, half = places / 2;
  const step = (2 * REACH * Math.sqrt(variance)) / places;
  let mass = new Float64Array(places + 1), low = half, high = half;
  mass[half] = 1;
  for (const [size, n] of kinds) {
    const next = new Float64Array(places + 1), atoms = atomsOf(size, n);
    let [from, to] = [places, 0];
    for (const [move, chance] of atoms) {
      const whole = Math.floor(move / step), share = move / step - whole;
      const start = Math.max(low, -whole), end = Math.min(high, places - 1 - whole);
      for (let at = start; at <= end; at++) {
        next[at + whole] += mass[at] * chance * (1 - share);
        next[at + whole + 1] += mass[at] * chance * share;
      }
      if (start <= end) [from, to] = [Math.min(from, start + whole), Math.max(to, end + whole + 1)];
    }
    [mass, low, high] = [next, from, to];
    while (low < half && mass[low] < 1e-25) low++;
    while (high > half && mass[high] < 1e-25) high--;
  }
  let spread = 0, tail = 0;
  for (let at = low; at <= high; at++) spread += mass[at] * ((at - half) * step) ** 2;
  const far = (observed * Math.sqrt(spread / variance)) / step;
  for (let at = low; at <= high; at++) {
    const beyond = Math.abs(at - half) - far + 0.5; // of the place's width, which is 1
    tail += mass[at] * Math.min(1, Math.max(0, beyond));
  }
  return Math.min(1, tail);
}

// Student's interval with two flips more, one each way.
function studentInterval(value, rows) {
  const { variance, freedom, many } = spreadOf(rows);
  const half = studentQuantile(Math.max(freedom, 1)) * Math.sqrt(variance + 2 / (many * (many + 2)));
  return [Math.max(-1, value - half), Math.min(1, value + half)];
}

// The linearised variance within strata, its degrees of freedom, and the rows of equal weight.
function spreadOf({ shares, change, units, ...rest }) {
  const strata = collapsed(rest.strata, units);
  const whole = sumBy(strata, shares), weighted = sumBy(strata, shares.map((s, i) => s * change[i]));
  const pairs = new Map(), unitsIn = new Map();
  strata.forEach((stratum, i) => {
    const key = `${stratum} ${units[i]}`, mean = weighted.get(stratum) / whole.get(stratum);
    if (!pairs.has(key)) {
      pairs.set(key, { stratum, unit: units[i], part: 0, weight: 0 });
      unitsIn.set(stratum, (unitsIn.get(stratum) || 0) + 1);
    }
    const pair = pairs.get(key);
    pair.part += shares[i] * (change[i] - mean);
    pair.weight += shares[i];
  });
  const inside = [...pairs.values()], insideOf = (pair) => pair.weight / whole.get(pair.stratum);
  const squares = sumBy(inside.map((pair) => pair.stratum), inside.map((pair) => insideOf(pair) ** 2));
  const moved = new Map(), fourth = new Map();
  for (const pair of inside) {
    let kept = 1 - 2 * insideOf(pair) + squares.get(pair.stratum);
    kept = unitsIn.get(pair.stratum) > 1 ? Math.max(kept, 1e-12) : Infinity;
    moved.set(pair.unit, (moved.get(pair.unit) || 0) + pair.part / Math.sqrt(kept));
    fourth.set(pair.unit, (fourth.get(pair.unit) || 0) + pair.weight / kept ** 0.25);
  }
  const total = sum([...sumBy(units, shares).values()].map((weight) => weight ** 2));
  const fourths = sum([...fourth.values()].map((weight) => weight ** 4));
  return {
    variance: sum([...moved.values()].map((part) => part ** 2)),
    freedom: fourths ? total ** 2 / fourths : 0,
    many: 1 / sum(shares.map((share) => share ** 2)),
  };
}

// Strata of one unit are made one; if these are all of one unit, the one with the fewest joins them.
function collapsed(strata, units) {
  const members = new Map();
  strata.forEach((stratum, i) => {
    if (!members.has(stratum)) members.set(stratum, new Set());
    members.get(stratum).add(units[i]);
  });
  const order = [...members.keys()].sort((a, b) => members.get(a).size - members.get(b).size || a - b);
  const alone = order.filter((stratum) => members.get(stratum).size === 1);
  if (!alone.length) return strata;
  if (alone.length === order.length) return strata.map(() => 0);
  const same = new Set(alone.map((stratum) => [...members.get(stratum)][0])).size === 1;
  const joined = new Set(order.slice(0, alone.length + (same ? 1 : 0)));
  return strata.map((stratum) => (joined.has(stratum) ? -1 : stratum));
}

// Student's 97.5 % quantile, found by halving.
function studentQuantile(freedom) {
  let low = 0, high = 13; // 12.7 at one degree
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2;
    if (upperTail(middle, freedom) > 0.025) low = middle; else high = middle;
  }
  return (low + high) / 2;
}

const upperTail = (t, freedom) => incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2;

// The regularised incomplete beta function, by Lentz's continued fraction.
function incompleteBeta(x, a, b) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
  let c = 1, d = 1 / (1 - ((a + b) * x) / (a + 1)), fraction = d;
  for (let m = 1; m < 500; m++) {
    for (const top of [(m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)), (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))]) {
      d = 1 / (1 + top * d);
      c = 1 + top / c;
      fraction *= c * d;
    }
    if (Math.abs(c * d - 1) < 1e-14) break;
  }
  return front * fraction;
}

// Stirling's series, from an argument that is large enough for it.
function logGamma(x) {
  let shift = 0;
  for (; x < 12; x++) shift += Math.log(x);
  const inverse = 1 / (x * x);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / x;
  return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + series - shift;
}

// Holm's adjusted p-values, written beside the others.
function holm(found) {
  let largest = 0;
  [...found].sort((a, b) => a.p - b.p).forEach((one, rank) => {
    largest = Math.max(largest, Math.min(1, (found.length - rank) * one.p));
    one.holm = largest;
    one.real = largest < ALPHA;
  });
}
