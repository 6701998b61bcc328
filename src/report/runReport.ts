/** What a report page shows: plain data, made by whoever ran something. Every block but title and facts may be empty. */

export interface RunReport {
  readonly title: string;
  /** One sentence under the title. */
  readonly summary: string;
  /** What was run: command, model, robot, data, seed, machine, date … */
  readonly facts: readonly { readonly label: string; readonly value: string }[];
  /** What a reader must not miss, such as a model that was not trained for this robot. */
  readonly notices: readonly { readonly level: 'note' | 'warning'; readonly text: string }[];
  /** The few numbers that matter, large. */
  readonly figures: readonly Figure[];
  readonly rates: readonly Rate[];
  readonly dimensions: readonly DimensionTrack[];
  readonly reasons: readonly CountedReason[];
  readonly galleries: readonly Gallery[];
  readonly reliability: readonly ReliabilityPlot[];
  readonly tables: readonly Table[];
}

export interface Figure {
  readonly label: string;
  readonly value: string;
  /** What it is measured against, or over. */
  readonly note: string;
}

/** Successes of trials, with the interval the rate lies in (0 … 1). */
export interface Rate {
  readonly label: string;
  readonly successes: number;
  readonly trials: number;
  readonly low: number;
  readonly high: number;
}

/** One dimension of an action over time: what was predicted beside what was recorded. null: none at that time. */
export interface DimensionTrack {
  readonly label: string;
  readonly unit: string;
  /** s, rising; a gap of several steps breaks the line. */
  readonly times: readonly number[];
  readonly recorded: readonly (number | null)[];
  readonly predicted: readonly (number | null)[];
}

/** How often what was said with which confidence came true. */
export interface ReliabilityPlot {
  readonly label: string;
  /** Whose confidence, or how it came about. */
  readonly note: string;
  /** Groups of answers, by confidence: how many, mean confidence, and the share that came true (0 … 1). */
  readonly groups: readonly {
    readonly count: number;
    readonly score: number;
    readonly share: number;
  }[];
  /** Expected calibration error: mean |confidence − share| over all answers. */
  readonly error: number;
}

/** Why something was limited, halted or refused, and how often. */
export interface CountedReason {
  readonly outcome: 'limited' | 'halt' | 'refused';
  readonly code: string;
  readonly message: string;
  readonly count: number;
}

export interface Gallery {
  readonly title: string;
  readonly note: string;
  readonly frames: readonly Frame[];
}

export interface Frame {
  /** `data:image/jpeg;base64,…` (or png, webp): marks and traces are drawn in already. */
  readonly image: string;
  readonly alt: string;
  readonly caption: string;
  readonly outcome: 'good' | 'bad' | 'neutral';
}

export interface Table {
  readonly title: string;
  readonly note: string;
  readonly columns: readonly { readonly label: string; readonly align: 'left' | 'right' }[];
  readonly rows: readonly (readonly string[])[];
}
