/**
 * The message types this project reads and writes. Their layouts are ours: a bag's own schema is only compared with
 * them, so a hostile schema cannot steer the decoder.
 */
import { readFileSync } from 'node:fs';
import { parse } from '@foxglove/rosmsg';
import { ros2jazzy } from '@foxglove/rosmsg-msgs-common';
import { DataError } from '../../errors.js';
import type { Field, Layout } from './cdr.js';

/** Types read from bags; every other topic is ignored. Unchanged from ROS 2 Galactic to Jazzy. */
const standard = [
  'sensor_msgs/Image',
  'sensor_msgs/CompressedImage',
  'sensor_msgs/JointState',
  'geometry_msgs/PoseStamped',
  'geometry_msgs/TransformStamped',
  'geometry_msgs/TwistStamped',
  'std_msgs/String',
  'std_msgs/Float64MultiArray',
  'trajectory_msgs/JointTrajectory',
  'tf2_msgs/TFMessage',
  'diagnostic_msgs/DiagnosticArray',
  'visualization_msgs/MarkerArray',
  'rosgraph_msgs/Clock',
  'sensor_msgs/CameraInfo',
] as const;

const own = ['magma_vla/TraceOfMarks', 'magma_vla/ActionChunk', 'magma_vla/Status'] as const;

/** foxglove_msgs 2.x and later: what the wire holds; the comments of the original are left out. */
const imageAnnotations = `foxglove_msgs/CircleAnnotation[] circles
foxglove_msgs/PointsAnnotation[] points
foxglove_msgs/TextAnnotation[] texts
===
MSG: foxglove_msgs/CircleAnnotation
builtin_interfaces/Time timestamp
foxglove_msgs/Point2 position
float64 diameter
float64 thickness
foxglove_msgs/Color fill_color
foxglove_msgs/Color outline_color
===
MSG: foxglove_msgs/PointsAnnotation
uint8 UNKNOWN=0
uint8 POINTS=1
uint8 LINE_LOOP=2
uint8 LINE_STRIP=3
uint8 LINE_LIST=4
builtin_interfaces/Time timestamp
uint8 type
foxglove_msgs/Point2[] points
foxglove_msgs/Color outline_color
foxglove_msgs/Color[] outline_colors
foxglove_msgs/Color fill_color
float64 thickness
===
MSG: foxglove_msgs/TextAnnotation
builtin_interfaces/Time timestamp
foxglove_msgs/Point2 position
string text
float64 font_size
foxglove_msgs/Color text_color
foxglove_msgs/Color background_color
===
MSG: foxglove_msgs/Point2
float64 x
float64 y
===
MSG: foxglove_msgs/Color
float64 r
float64 g
float64 b
float64 a`;

const point = 'trajectory_msgs/JointTrajectoryPoint';
const multiPoint = 'trajectory_msgs/MultiDOFJointTrajectoryPoint';
/** control_msgs/JointTrajectoryControllerState, since Humble. */
const controllerState: Definition = {
  definitions: [
    { type: 'std_msgs/Header', name: 'header', isComplex: true },
    { type: 'string', name: 'joint_names', isArray: true },
    ...['reference', 'feedback', 'error', 'output'].map((name) => ({
      type: point,
      name,
      isComplex: true,
    })),
    { type: 'string', name: 'multi_dof_joint_names', isArray: true },
    ...['reference', 'feedback', 'error', 'output'].map((name) => ({
      type: multiPoint,
      name: `multi_dof_${name}`,
      isComplex: true,
    })),
    { type: 'float64', name: 'speed_scaling_factor' },
  ],
};

/** Types of packages that the library of definitions does not hold. */
const foreign = [
  'foxglove_msgs/ImageAnnotations',
  'control_msgs/JointTrajectoryControllerState',
] as const;

export type TypeName = (typeof standard)[number] | (typeof own)[number] | (typeof foreign)[number];

export interface Schema {
  readonly layout: Layout;
  /** `package/msg/Type`, as ROS 2 names it. */
  readonly rosName: string;
  /** The definition with all it depends on, as rosbag2 stores it (encoding `ros2msg`). */
  readonly text: string;
}

interface Definition {
  readonly name?: string;
  readonly definitions: readonly Field[];
}

const library = ros2jazzy as unknown as Readonly<Record<string, Definition | undefined>>;
/** What a foreign schema may weigh: the largest standard message with all dependencies is below 20 KB. */
const MAX_SCHEMA_BYTES = 1 << 18;

const known = new Map<string, Schema>();

/** The schema of a type this project knows. */
export function schemaOf(type: TypeName): Schema {
  const cached = known.get(type);
  if (cached) return cached;
  const schema = buildSchema(type);
  known.set(type, schema);
  return schema;
}

/** `sensor_msgs/msg/Image` → `sensor_msgs/Image`. */
export function shortName(rosName: string): string {
  return rosName.replace('/msg/', '/');
}

export function isKnownType(name: string): name is TypeName {
  return (
    (standard as readonly string[]).includes(name) ||
    (own as readonly string[]).includes(name) ||
    (foreign as readonly string[]).includes(name)
  );
}

/**
 * The layout of a topic of a bag, after its stored schema has been compared with ours, field by field.
 *
 * @throws DataError for other encodings, for types that are not known here, and for a layout that differs.
 */
export function layoutOf(topic: {
  readonly topic: string;
  readonly type: string;
  readonly messageEncoding: string;
  readonly schemaEncoding: string;
  readonly schema: Uint8Array;
}): Layout {
  const where = `topic ${topic.topic}`;
  if (topic.messageEncoding !== 'cdr')
    throw new DataError(where, `message encoding ${topic.messageEncoding}`, 'cdr');
  if (topic.schemaEncoding !== 'ros2msg')
    throw new DataError(
      where,
      `schema encoding ${topic.schemaEncoding || 'none'}`,
      'ros2msg (ros2idl bags: record with a distribution that stores .msg definitions)',
    );
  const name = shortName(topic.type);
  if (!isKnownType(name))
    throw new DataError(where, `type ${topic.type}`, `one of ${standard.join(', ')}`);
  if (topic.schema.byteLength > MAX_SCHEMA_BYTES)
    throw new DataError(
      where,
      `a schema of ${topic.schema.byteLength} bytes`,
      `at most ${MAX_SCHEMA_BYTES}`,
    );
  const schema = schemaOf(name);
  let stored: Layout;
  try {
    stored = layoutFrom(parse(new TextDecoder().decode(topic.schema), { ros2: true }));
  } catch (error) {
    throw new DataError(where, `a schema that cannot be parsed`, (error as Error).message);
  }
  if (!sameFields(stored, stored.root, schema.layout, schema.layout.root, 0))
    throw new DataError(
      where,
      `a ${topic.type} whose fields differ: ${namesOf(stored)}`,
      namesOf(schema.layout),
    );
  return schema.layout;
}

/** A type of ours that differs was recorded by another version of this project. */
function namesOf({ root }: Layout): string {
  const fields = root.filter(({ isConstant }) => !isConstant);
  const types = fields.map(({ name, type, isArray, arrayLength }) => {
    const array = isArray ? `[${arrayLength ?? ''}]` : '';
    return `${builtin[type] ?? type}${array} ${name}`;
  });
  return types.join(', ');
}

function sameFields(
  a: Layout,
  aFields: readonly Field[],
  b: Layout,
  bFields: readonly Field[],
  depth: number,
): boolean {
  const [left, right] = [aFields, bFields].map((fields) => fields.filter((f) => !f.isConstant));
  if (depth > 16 || left!.length !== right!.length) return false;
  return left!.every((field, i) => {
    const other = right![i]!;
    if (
      field.name !== other.name ||
      field.type !== other.type ||
      Boolean(field.isArray) !== Boolean(other.isArray) ||
      field.arrayLength !== other.arrayLength
    )
      return false;
    if (!other.isComplex) return true;
    const [mine, theirs] = [a.types.get(field.type), b.types.get(field.type)];
    return mine !== undefined && theirs !== undefined && sameFields(a, mine, b, theirs, depth + 1);
  });
}

// ── Building ours ───────────────────────────────────────────────────────────────────────────────────────────────────

function buildSchema(type: TypeName): Schema {
  const definitions = definitionsOf(type);
  return {
    layout: layoutFrom(definitions),
    rosName: type.replace('/', '/msg/'),
    text: definitions.map(sectionText).join(`\n${'='.repeat(80)}\n`),
  };
}

function definitionsOf(type: TypeName): readonly Definition[] {
  if (type === 'foxglove_msgs/ImageAnnotations') return parse(imageAnnotations, { ros2: true });
  if (type === 'control_msgs/JointTrajectoryControllerState')
    return withDependencies(controllerState);
  if (!type.startsWith('magma_vla/')) return withDependencies(library[type]!);
  const path = new URL(`../../../msg/${type.slice('magma_vla/'.length)}.msg`, import.meta.url);
  // The parser wants every type that is used beside the one that uses it; of others, ours use only the header.
  const header = `\n===\nMSG: std_msgs/Header\n${sectionText(library['std_msgs/Header']!, 0)}`;
  const root: Definition = parse(readFileSync(path, 'utf8') + header, { ros2: true })[0]!;
  return withDependencies(root);
}

function withDependencies(root: Definition): readonly Definition[] {
  const found = new Map<string, Definition>();
  const visit = (definition: Definition): void => {
    for (const field of definition.definitions) {
      const used = field.isComplex ? library[field.type] : undefined;
      if (!used || found.has(field.type)) continue;
      found.set(field.type, used);
      visit(used);
    }
  };
  visit(root);
  return [root, ...found.values()];
}

function layoutFrom(definitions: readonly Definition[]): Layout {
  const root = definitions[0];
  if (!root) throw new Error('no definition in it');
  return {
    root: root.definitions,
    types: new Map(definitions.slice(1).map((d) => [d.name ?? '', d.definitions])),
  };
}

const builtin: Readonly<Record<string, string>> = {
  time: 'builtin_interfaces/Time',
  duration: 'builtin_interfaces/Duration',
};

function sectionText(definition: Definition, index: number): string {
  const lines = definition.definitions.map((field) => {
    const type = builtin[field.type] ?? field.type;
    if (field.isConstant)
      return `${type} ${field.name}=${String((field as { value?: unknown }).value)}`;
    return `${type}${field.isArray ? `[${field.arrayLength ?? ''}]` : ''} ${field.name}`;
  });
  return [...(index === 0 ? [] : [`MSG: ${definition.name!}`]), ...lines].join('\n');
}
