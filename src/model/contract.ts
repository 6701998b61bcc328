/**
 * model.json → Contract: everything a runtime must know about a model beyond its weights and sizes. How its prompts are
 * written, how pixels become its input, what its answers mean in metres and radians, and which robots it was trained for.
 * Two models differ in their contracts only: generic code never asks for a model's name.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../errors.js';
import { assertConsistent } from './contractChecks.js';
import { parseJson } from './parseJson.js';
import { parseStatistics, type ActionStatistics } from './statistics.js';

const positive = z.number().positive();
const count = z.number().int().positive();
const rgb = z.tuple([z.number(), z.number(), z.number()]);

/** From a model picture (8-bit rgb) to a tower's input: /255 → (x − mean) / std → bilinear resize to the canvas → crops. */
const recipe = z.strictObject({
  /** Square crops of this side, px, at most so many: see image/canvas.ts. maxCrops 1 is one fixed square. */
  canvas: z.strictObject({ cropSize: count, maxCrops: count }),
  mean: rgb,
  std: rgb,
});

const tower = z.strictObject({
  kind: z.enum(['convnext', 'dinov2', 'siglip']),
  /** Name in `recipes`. */
  recipe: z.string(),
  /** What the tower's weight names begin with. */
  keyPrefix: z.string(),
});

/** One piece of a prompt. Neighbouring pieces of text are joined before they are tokenised. */
const pieces = [
  z.strictObject({ text: z.string().min(1) }),
  /** One token by its exact name, special tokens included. */
  z.strictObject({ token: z.string() }),
  /**
   * A camera's picture by model key: one placeholder id, which the runtime replaces by the visual tokens. From camera
   * picture to model picture, on 8-bit pixels: marks drawn → resized → centre share of the area, back to its size.
   * OpenVLA's server (vla-scripts/deploy.py) only resizes to 224×224, bicubic. Its evaluations in LIBERO and on the WidowX
   * resize with lanczos3 instead, and crop to 0.9 of the area where a checkpoint was trained with image augmentation.
   * In the prompts of questions the key is only a name: the picture is the one that is asked about.
   */
  z.strictObject({
    image: z.string(),
    /** drawn: numbered discs at points. boxes: numbered boxes, as around the buttons of a screenshot. */
    marks: z.enum(['drawn', 'boxes']).optional(),
    resize: z
      .strictObject({
        /** bilinear, bicubic: Pillow's. lanczos3: TensorFlow's, antialiased. */
        filter: z.enum(['bilinear', 'bicubic', 'lanczos3']),
        ...{ height: count, width: count },
      })
      .optional(),
    centreCropArea: positive.max(1).optional(),
    /** Fewer crops than the recipe's, for a picture that is one of many. */
    maxCrops: count.optional(),
  }),
  /** The task, or what is asked. asGiven: trimmed. lowercase: also lower case. plain: also single spaces and no final `.`, `!` or `?`. */
  z.strictObject({ instruction: z.enum(['asGiven', 'lowercase', 'plain']) }),
  /** One action-vocabulary id per field of `state`. */
  z.strictObject({ state: z.literal('actionIds') }),
  /** Mark ids in ascending order, joined by this separator; with `places`, each as `id at [x,y]` in cells of the trace grid. */
  z.strictObject({ marks: z.string(), places: z.literal('cells').optional() }),
  /** Number of future points asked for. */
  z.strictObject({ steps: z.literal('count') }),
  /** `answers.trace.speed`, grid cells per step. */
  z.strictObject({ speed: z.literal('gridPerStep') }),
] as const;

const segment = z.union([
  ...pieces,
  /** These pieces once per frame of a video. */
  z.strictObject({ frames: z.array(z.union(pieces)).min(1) }),
]);

const prompt = z.strictObject({
  /** How many beginning-of-sequence ids come first (two where the chat template and the tokenizer both add one). */
  bos: z.number().int().min(0).max(2),
  segments: z.array(segment).min(1),
  /** Appended unless it is the last id already. */
  appendIfMissing: z.number().int().nonnegative().optional(),
});

const dimension = z.enum(['x', 'y', 'z', 'roll', 'pitch', 'yaw', 'gripper']);
export type Dimension = z.infer<typeof dimension>;

const actionAnswer = z.strictObject({
  dims: z.array(dimension).min(1),
  /** K: steps per answer. The answer is K · dims ids, step by step, then the end id. */
  chunk: count,
  /** Length of one step, s. */
  period: positive,
  /** V: bin k = 1 … bins of a value is the id V − k. */
  vocabulary: count,
  /** Edges at linspace(−1, 1, bins). */
  bins: z.number().int().min(2),
  /** A file of the same folder, and the dataset that is used for a robot the model does not know. */
  statistics: z.strictObject({ file: z.string().regex(/^[\w.-]+$/), default: z.string() }),
  rotation: z.enum(['rpy', 'rotationVector']),
  /** The numbers that mean fully open and fully closed. */
  gripper: z.strictObject({ open: z.number(), closed: z.number() }),
  reference: z.enum(['lastTarget', 'observedPose']),
  composition: z.enum(['base', 'tool']),
  /**
   * [geometric mean probability of the tokens, share of such actions whose task then succeeded], both rising: what is told
   * as the confidence. Absent: that probability itself, which means nothing in particular.
   */
  calibration: z.array(z.tuple([z.number().min(0).max(1), z.number().min(0).max(1)])).optional(),
});

const traceAnswer = z.strictObject({
  grammar: z.literal('magma'),
  /** Model key of the picture that carries the marks. */
  camera: z.string(),
  /** Coordinates are cells 0 … grid − 1 of the picture, x before y. */
  grid: count,
  /** How many marks a picture may carry. */
  marks: z.strictObject({ min: count, max: count }),
  speed: count.optional(),
  steps: count,
  /** Future points per mark: exactly `steps`, or 1 … `steps` (static points were dropped in training). */
  length: z.enum(['exact', 'atMost']),
  /** Length of one step, s. */
  period: positive,
  /** An answer longer than this is cut off and refused. */
  maxTokens: count,
});

/** Free text about one picture; cut off after so many tokens. */
const questionAnswer = z.strictObject({ maxTokens: count });

/** Free text about several pictures in the order of time. */
const videoAnswer = z.strictObject({
  /** How many frames a question may show. */
  frames: z.strictObject({ max: count }),
  maxTokens: count,
});

/** Where the marks drawn on a picture are: see locationGrammar.ts. */
const locationAnswer = z.strictObject({
  grammar: z.literal('magma'),
  /** Coordinates are cells 0 … grid − 1 of the picture, x before y. */
  grid: count,
  marks: z.strictObject({ min: count, max: count }),
  maxTokens: count,
});

/** Where to click on a screenshot with numbered boxes: see interfaceGrammar.ts. */
const interfaceAnswer = z.strictObject({
  grammar: z.literal('magma'),
  marks: z.strictObject({ max: count }),
  maxTokens: count,
});

const stateField = z.strictObject({ name: dimension, min: z.number(), max: z.number() });

const trainedRobot = z.strictObject({
  /** `robot` of robot.yaml. */
  robot: z.string(),
  /** Key of the statistics its actions are un-normalised with (`unnorm_key`). */
  statistics: z.string(),
  baseFrame: z.string(),
  /** Which point and axes the deltas move, in words. */
  tcp: z.string(),
});

const schema = z.strictObject({
  version: z.literal(1),
  name: z.string(),
  recipes: z.record(z.string(), recipe),
  /** Several towers see every picture; their features are concatenated in this order. */
  towers: z.array(tower).min(1),
  projector: z.strictObject({
    kind: z.enum(['mlp2x_gelu', 'mlp3x_gelu']),
    keyPrefix: z.string(),
    /** Weight appended after every row of visual tokens, the last one included; null: none. */
    rowSeparator: z.string().nullable(),
  }),
  decoder: z.strictObject({ kind: z.literal('llama'), keyPrefix: z.string() }),
  /** Weight names that begin so may be present and are not used; any other unknown name is an error. */
  ignoredKeys: z.array(z.string()),
  tokens: z.strictObject({ bos: z.string(), eos: z.string(), image: z.string() }),
  /** Each has an answer of the same name; all but the action are there where the model was trained for them. */
  prompts: z.strictObject({
    action: prompt,
    trace: prompt.optional(),
    /** About one picture. */
    question: prompt.optional(),
    video: prompt.optional(),
    location: prompt.optional(),
    interface: prompt.optional(),
  }),
  /** Proprioception of the prompt, in prompt order: tool centre point in the base frame (m, rad), gripper 0 … 1. */
  state: z.array(stateField),
  answers: z.strictObject({
    action: actionAnswer,
    trace: traceAnswer.optional(),
    question: questionAnswer.optional(),
    video: videoAnswer.optional(),
    location: locationAnswer.optional(),
    interface: interfaceAnswer.optional(),
  }),
  robots: z.array(trainedRobot),
});

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
type ModelJson = DeepReadonly<z.infer<typeof schema>>;

/** A validated model.json together with the statistics file it names. Frozen. */
export interface Contract extends ModelJson {
  /** By `unnorm_key`; vectors as long as `answers.action.dims`. */
  readonly statistics: Readonly<Record<string, ActionStatistics>>;
}
export type ImageRecipe = ModelJson['recipes'][string];
export type Prompt = ModelJson['prompts']['action'];
export type PromptKind = keyof ModelJson['prompts'];
/** What can be asked about pictures that no robot took. */
export type QuestionKind = Exclude<PromptKind, 'action' | 'trace'>;
export type Segment = Prompt['segments'][number];
/** A segment that is not made of others. */
export type Piece = Exclude<Segment, { readonly frames: unknown }>;
export type ActionAnswer = ModelJson['answers']['action'];
export type TraceAnswer = NonNullable<ModelJson['answers']['trace']>;
export type LocationAnswer = NonNullable<ModelJson['answers']['location']>;
export type ImageSegment = Extract<Segment, { readonly image: string }>;
export type StateField = ModelJson['state'][number];

/**
 * Text of model.json and of the statistics file beside it → Contract.
 * @param where path of model.json, for messages
 * @throws ConfigError naming the key, what was got and what was expected.
 */
export function parseContract(modelJson: string, statisticsJson: string, where: string): Contract {
  const model = parseJson(schema, modelJson, where);
  const { action } = model.answers;
  const statistics = parseStatistics(
    statisticsJson,
    action.dims.length,
    `${where}: ${action.statistics.file}`,
  );
  const contract: Contract = { ...model, statistics };
  assertConsistent(contract, where);
  return deepFreeze(contract);
}

/** Reads model.json and the statistics file it names from a model folder. @throws ConfigError. */
export function readContract(folder: string): Contract {
  const where = join(folder, 'model.json');
  if (!existsSync(where)) throw new ConfigError(where, 'no such file', wayToContract(folder));
  const modelJson = readText(where, 'a readable model.json');
  const { file } = parseJson(schema, modelJson, where).answers.action.statistics;
  const statisticsJson = readText(join(folder, file), `the statistics file that ${where} names`);
  return parseContract(modelJson, statisticsJson, where);
}

/** A folder as it was downloaded has no contract yet. */
function wayToContract(folder: string): string {
  return existsSync(join(folder, 'config.json'))
    ? `a model folder; of this checkpoint: npx magma-vla convert ${folder} --out models/<name>`
    : 'a model folder, such as models/nano';
}

function readText(path: string, expected: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(path, (error as Error).message, expected);
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
