/**
 * A made-up corpus with the shape of real ones: clustered embeddings, heavy-tailed users.
 *
 * 2,000 topics of 5 subtopics; vectors of one subtopic have cosine .60 to .95, of two topics about
 * .15; noise is low-rank and the energy of the dimensions decays, as in the embeddings of texts.
 * Everything follows from the seed, so two runs compare.
 */

const DIMENSIONS = 1536;
const TOPICS = 2000;
const SUBTOPICS = 5;
const NOISE_POOL = 256;
const NOISE_MIX = 12;

/** A user of the corpus: rows and the subtopics they write about. */
export interface CorpusUser {
  id: string;
  rows: number;
  subtopics: number[];
}

/** Class of a user by rows, as the figures are reported. */
export type UserClass = "small" | "mid" | "5k" | "30k";

/** Deterministic source of vectors. */
export class Corpus {
  readonly users: CorpusUser[] = [];
  #random: () => number;
  #mean: Float32Array;
  #noise: Float32Array[];
  #subtopics = new Map<number, Float32Array>();
  #decay: Float32Array;
  #seed: number;

  constructor(rows: number, seed = 7) {
    this.#seed = seed;
    this.#random = mulberry32(seed);
    this.#decay = Float32Array.from(
      { length: DIMENSIONS },
      (_, i) => i < 256 ? 1.45 : 0.88,
    );
    this.#mean = this.#gaussian(this.#random);
    this.#noise = Array.from({ length: NOISE_POOL }, () => this.#gaussian(this.#random));
    const scale = rows / 100_000;
    const sizes = [30_000, 10_000, 5_000, 5_000].map((n) => Math.round(n * scale));
    let left = rows - sizes.reduce((a, b) => a + b, 0);
    while (left > 0) {
      // log-uniform between 10 and 2,000
      const n = Math.min(left, Math.round(10 * Math.exp(this.#random() * Math.log(200))));
      sizes.push(n);
      left -= n;
    }
    for (const [index, n] of sizes.entries()) {
      this.users.push({
        id: `00000000-0000-4000-8000-${String(index + 1).padStart(12, "0")}`,
        rows: n,
        subtopics: Array.from(
          { length: Math.max(2, Math.ceil(n / 20)) },
          () => Math.floor(this.#random() * TOPICS * SUBTOPICS),
        ),
      });
    }
  }

  /** The users' rows, interleaved as they would arrive. */
  *arrivals(): Generator<CorpusUser> {
    const left = this.users.map((user) => ({ user, rows: user.rows }));
    const order = new Uint32Array(left.reduce((sum, l) => sum + l.rows, 0));
    let at = 0;
    for (const [index, l] of left.entries()) {
      order.fill(index, at, at += l.rows);
    }
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(this.#random() * (i + 1));
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    for (const index of order) yield this.users[index]!;
  }

  /** A new point near one of the user's subtopics, unit length. */
  point(user: CorpusUser): Float32Array {
    const subtopic = user.subtopics[Math.floor(this.#random() * user.subtopics.length)]!;
    const out = this.#center(subtopic).slice();
    const spread = 0.25 + 0.5 * this.#random();
    for (let n = 0; n < NOISE_MIX; n++) {
      const basis = this.#noise[Math.floor(this.#random() * NOISE_POOL)]!;
      const weight = normal(this.#random) * spread / Math.sqrt(NOISE_MIX);
      for (let i = 0; i < DIMENSIONS; i++) out[i]! += weight * basis[i]!;
    }
    return unit(out);
  }

  #center(subtopic: number): Float32Array {
    let center = this.#subtopics.get(subtopic);
    if (!center) {
      const topic = Math.floor(subtopic / SUBTOPICS);
      const own = this.#gaussian(mulberry32(this.#seed * 7919 + topic));
      const detail = this.#gaussian(mulberry32(this.#seed * 104_729 + subtopic));
      center = new Float32Array(DIMENSIONS);
      for (let i = 0; i < DIMENSIONS; i++) {
        center[i] = 0.39 * this.#mean[i]! + 0.72 * own[i]! + 0.57 * detail[i]!;
      }
      unit(center);
      this.#subtopics.set(subtopic, center);
    }
    return center;
  }

  #gaussian(random: () => number): Float32Array {
    const out = new Float32Array(DIMENSIONS);
    for (let i = 0; i < DIMENSIONS; i++) out[i] = normal(random) * this.#decay[i]!;
    return unit(out);
  }
}

/** Class of a user in a corpus of `rows`. */
export function classOf(user: CorpusUser, rows: number): UserClass | undefined {
  const n = user.rows / (rows / 100_000);
  if (n >= 30_000) return "30k";
  if (n >= 4_900 && n <= 5_100) return "5k";
  if (user.rows <= 300) return "small";
  if (user.rows <= 2_000) return "mid";
  return undefined;
}

/** pgvector's text form with six digits. */
export function vectorText(vector: Float32Array): string {
  let text = "[";
  for (let i = 0; i < vector.length; i++) {
    text += (i === 0 ? "" : ",") + Number(vector[i]!.toPrecision(6));
  }
  return text + "]";
}

function unit(vector: Float32Array): Float32Array {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += vector[i]! * vector[i]!;
  const scale = 1 / Math.sqrt(sum);
  for (let i = 0; i < vector.length; i++) vector[i]! *= scale;
  return vector;
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** A small, good enough generator (T. Ettinger's mulberry32). */
export function mulberry32(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
