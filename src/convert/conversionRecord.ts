/** conversion.json of a converted model: what it was made of, how, and what every file of it is. */
import { z } from 'zod';
import { elementTypes, type ElementType } from './onnx.js';

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

const count = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const rowError = z.strictObject({ key: z.string(), row: count, relativeRms: z.number() });

const tensorError = z.strictObject({
  relativeRms: z.number(),
  largest: z.number(),
  worstRows: z.array(rowError),
});

const storedTensor = z.strictObject({
  name: z.string(),
  type: z.enum(Object.keys(elementTypes) as [ElementType, ...ElementType[]]),
  shape: z.array(count),
  file: z.string(),
  offset: count,
  bytes: count,
  sha256,
});

/** What one job wrote. */
export const writtenSchema = z.strictObject({
  tensors: z.array(storedTensor).min(1),
  /** Against the checkpoint's numbers; null where nothing can be lost. */
  error: tensorError.nullable(),
});
export type Written = DeepReadonly<z.infer<typeof writtenSchema>>;

const file = z.strictObject({ name: z.string(), bytes: count, sha256 });
export type FileRecord = DeepReadonly<z.infer<typeof file>>;

/** A file of the checkpoint. */
export const sourceSchema = file.extend({
  /** Where a checksum of the publisher was found that it fits; null: none was at hand. */
  publishedIn: z.string().nullable(),
});
export type SourceRecord = DeepReadonly<z.infer<typeof sourceSchema>>;

export const conversionSchema = z.strictObject({
  version: z.literal(1),
  builder: z.string(),
  /** Over sources, format, layout and builder: the same conversion gives the same files. */
  identity: sha256,
  format: z.strictObject({
    weights: z.enum(['fp32', 'fp16', 'int8', 'int4']),
    block: z.literal([32, 128]),
    compute: z.enum(['float32', 'float16']),
    accuracyLevel: z.literal([0, 4]),
  }),
  source: z.strictObject({ folder: z.string(), files: z.array(sourceSchema).min(1) }),
  /** What the person who converted should know. */
  notes: z.array(z.string()),
  /** Every other file of the model, paths from its folder. */
  files: z.array(file).min(1),
  weights: z.array(writtenSchema),
});
export type ConversionRecord = DeepReadonly<z.infer<typeof conversionSchema>>;

export const recordName = 'conversion.json';
