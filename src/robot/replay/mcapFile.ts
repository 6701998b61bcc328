/**
 * One MCAP file, read without trusting it. Opening scans it once from front to back: every record is framed here,
 * against hard limits, and parsed by @mcap/core; chunks are decompressed and their checksums verified, so that what is
 * wrong with a bag is known before the first message plays. What stays in memory is one span (chunk, or run of loose
 * messages) at a time and a table of where the spans are. The file's own index is not used: a bag that was cut off has
 * none, and a hostile one lies.
 */
import type { FileHandle } from 'node:fs/promises';
import { McapRecordBuilder, type McapTypes } from '@mcap/core';
import { DataError } from '../../errors.js';
import {
  FileWindow,
  FRAME_BYTES,
  limits,
  MAGIC,
  newReader,
  opcode,
  parsedOpcodes,
  readExactly,
  recordsOf,
} from './mcapRecords.js';
import { decompressMessage, isZstd } from './zstd.js';

export interface Topic {
  readonly topic: string;
  /** Schema name as stored, such as sensor_msgs/msg/Image. */
  readonly type: string;
  readonly messageEncoding: string;
  readonly schemaEncoding: string;
  readonly schema: Uint8Array;
}

export interface BagMessage {
  readonly topic: string;
  /** When it was received, on the recorder's clock. */
  readonly logTimeNs: bigint;
  /** CDR; owns its buffer. */
  readonly data: Uint8Array;
}

/** A stretch of the file whose messages are read together. */
export interface Span {
  readonly offset: number;
  readonly length: number;
  /** Size after decompression. */
  readonly bytes: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly topics: ReadonlySet<string>;
}

interface Frame {
  readonly opcode: number;
  readonly offset: number;
  /** The frame's head included. */
  readonly length: number;
}

export class McapFile {
  readonly path: string;
  readonly spans: readonly Span[];
  readonly topics: ReadonlyMap<string, Topic>;
  readonly counts: ReadonlyMap<string, number>;
  /** Set where the file ends early or contradicts its own statistics; what is whole is still read. */
  readonly warnings: readonly DataError[];
  private readonly handle: FileHandle;
  private readonly channels: ReadonlyMap<number, McapTypes.TypedMcapRecords['Channel']>;

  private constructor(path: string, handle: FileHandle, scan: Scan) {
    this.path = path;
    this.handle = handle;
    this.spans = scan.spans;
    this.topics = scan.topics;
    this.counts = scan.counts;
    this.channels = scan.channels;
    this.warnings = scan.warnings;
  }

  /** Scans the file. Takes over the handle: it is closed here on failure, by `close` otherwise. @throws DataError */
  static async scan(path: string, handle: FileHandle): Promise<McapFile> {
    try {
      const scan = new Scan(path, handle);
      await scan.run();
      return new McapFile(path, handle, scan);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** The messages of one span on the wanted topics, in file order. Any number of loads may run at once. */
  async load(span: Span, wanted: ReadonlySet<string>): Promise<BagMessage[]> {
    const where = `${this.path} at byte ${span.offset}`;
    const bytes = await readExactly(this.handle, this.path, span.offset, span.length);
    const messages: BagMessage[] = [];
    const reader = await newReader();
    const prelude = new McapRecordBuilder();
    for (const channel of this.channels.values()) prelude.writeChannel(channel);
    for (const record of recordsOf(reader, [prelude.buffer, bytes], where)) {
      if (record.type !== 'Message') continue;
      const { topic } = this.channels.get(record.channelId)!;
      if (!wanted.has(topic)) continue;
      const data = isZstd(record.data)
        ? await decompressMessage(record.data, limits.chunkBytes, `${where}: topic ${topic}`)
        : record.data;
      messages.push({ topic, logTimeNs: record.logTime, data });
    }
    return messages;
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** The one pass over a file, and what it gathers. */
class Scan {
  readonly spans: Span[] = [];
  readonly topics = new Map<string, Topic>();
  readonly counts = new Map<string, number>();
  readonly channels = new Map<number, McapTypes.TypedMcapRecords['Channel']>();
  readonly warnings: DataError[] = [];
  private readonly schemas = new Map<number, McapTypes.TypedMcapRecords['Schema']>();
  private readonly path: string;
  private readonly handle: FileHandle;
  private readonly file: FileWindow;
  private messages = 0;
  private declared: bigint | null = null;
  /** Loose messages that are being gathered into one span. */
  private loose: (Span & { readonly topics: Set<string> }) | null = null;

  constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.handle = handle;
    this.file = new FileWindow(handle, path);
  }

  async run(): Promise<void> {
    const { size } = await this.handle.stat();
    await this.checkMagic(size);
    const reader = await newReader();
    let at = MAGIC.length;
    let closed = false;
    while (!closed && at < size) {
      const frame = await this.frameAt(at, size);
      if (!frame) break;
      at += frame.length;
      closed = frame.opcode === opcode.footer;
      if (!parsedOpcodes.has(frame.opcode)) continue;
      const where = `${this.path} at byte ${frame.offset}`;
      const bytes = await this.file.read(frame.offset, frame.length);
      this.take(frame, recordsOf(reader, [bytes], where), where);
    }
    this.endLoose();
    const whole = closed && (await this.endsWithMagic(at, size));
    if (!whole) this.warn('a bag that was cut off', 'a footer at the end');
    if (this.declared !== null && this.declared !== BigInt(this.messages))
      this.warn(`${this.messages} messages`, `${this.declared} as its statistics say`);
  }

  /** The record at `at`, or null where the file ends inside it. */
  private async frameAt(at: number, size: number): Promise<Frame | null> {
    if (at + FRAME_BYTES > size) return null;
    const where = `${this.path} at byte ${at}`;
    const head = await this.file.read(at, FRAME_BYTES);
    const code = head[0]!;
    const length = new DataView(head.buffer, head.byteOffset).getBigUint64(1, true);
    if (code === 0) throw new DataError(where, 'record type 0', 'an MCAP record');
    if (length > BigInt(limits.recordBytes))
      throw new DataError(
        where,
        `a record of ${length} bytes`,
        `at most ${limits.recordBytes} bytes`,
      );
    const frame = { opcode: code, offset: at, length: FRAME_BYTES + Number(length) };
    return at + frame.length > size ? null : frame;
  }

  private take(frame: Frame, records: Iterable<McapTypes.TypedMcapRecord>, where: string): void {
    const inside: McapTypes.TypedMcapRecords['Message'][] = [];
    let bytes = 0;
    for (const record of records) {
      if (record.type === 'Schema') this.schemas.set(record.id, record);
      else if (record.type === 'Channel') this.addChannel(record, where);
      else if (record.type === 'Statistics') this.declared = record.messageCount;
      else if (record.type === 'Message') {
        bytes += record.data.byteLength;
        // Only what the table needs is kept; the payload was looked at when the chunk's checksum was.
        inside.push({ ...record, data: empty });
        if (inside.length > limits.messagesPerSpan)
          throw new DataError(where, 'more messages', `${limits.messagesPerSpan} per chunk`);
      }
    }
    if (frame.opcode === opcode.message) this.addLoose(frame, inside[0], bytes);
    else this.endLoose();
    if (frame.opcode === opcode.chunk && inside.length > 0) this.addChunk(frame, inside, bytes);
    if (this.spans.length > limits.spans)
      throw new DataError(where, 'more chunks', `at most ${limits.spans}`);
  }

  private addChunk(
    frame: Frame,
    messages: readonly McapTypes.TypedMcapRecords['Message'][],
    bytes: number,
  ): void {
    let [startNs, endNs] = [messages[0]!.logTime, messages[0]!.logTime];
    const topics = new Set<string>();
    for (const message of messages) {
      if (message.logTime < startNs) startNs = message.logTime;
      if (message.logTime > endNs) endNs = message.logTime;
      topics.add(this.count(message));
    }
    this.spans.push({ offset: frame.offset, length: frame.length, bytes, startNs, endNs, topics });
  }

  private addLoose(
    frame: Frame,
    message: McapTypes.TypedMcapRecords['Message'] | undefined,
    bytes: number,
  ): void {
    if (!message) return;
    const { logTime } = message;
    const topic = this.count(message);
    const span = this.loose;
    if (span && span.length + frame.length <= limits.looseBytes) {
      span.topics.add(topic);
      this.loose = {
        ...span,
        length: span.length + frame.length,
        bytes: span.bytes + bytes,
        startNs: logTime < span.startNs ? logTime : span.startNs,
        endNs: logTime > span.endNs ? logTime : span.endNs,
      };
      return;
    }
    this.endLoose();
    const { offset, length } = frame;
    const topics = new Set([topic]);
    this.loose = { offset, length, bytes, startNs: logTime, endNs: logTime, topics };
  }

  private endLoose(): void {
    if (this.loose) this.spans.push(this.loose);
    this.loose = null;
  }

  /** @returns the message's topic. */
  private count(message: McapTypes.TypedMcapRecords['Message']): string {
    const { topic } = this.channels.get(message.channelId)!;
    this.counts.set(topic, (this.counts.get(topic) ?? 0) + 1);
    this.messages += 1;
    return topic;
  }

  private addChannel(channel: McapTypes.TypedMcapRecords['Channel'], where: string): void {
    this.channels.set(channel.id, channel);
    const schema = this.schemas.get(channel.schemaId);
    const topic: Topic = {
      topic: channel.topic,
      type: schema?.name ?? '(no schema)',
      messageEncoding: channel.messageEncoding,
      schemaEncoding: schema?.encoding ?? '',
      schema: schema?.data ?? empty,
    };
    const other = this.topics.get(topic.topic);
    if (other && other.type !== topic.type)
      throw new DataError(
        `${where}: topic ${topic.topic}`,
        `type ${topic.type}`,
        `${other.type} as before`,
      );
    if (!other) this.topics.set(topic.topic, topic);
    if (this.topics.size > limits.topics)
      throw new DataError(where, 'more topics', `at most ${limits.topics}`);
  }

  private async checkMagic(size: number): Promise<void> {
    const count = Math.min(size, MAGIC.length);
    const magic = await this.file.read(0, count);
    if (count < MAGIC.length || MAGIC.some((byte, i) => magic[i] !== byte))
      throw new DataError(
        this.path,
        `a file that begins with ${Buffer.from(magic).toString('hex') || 'nothing'}`,
        'an MCAP file',
      );
  }

  private async endsWithMagic(at: number, size: number): Promise<boolean> {
    if (size - at !== MAGIC.length) return false;
    const magic = await this.file.read(at, MAGIC.length);
    return MAGIC.every((byte, i) => magic[i] === byte);
  }

  private warn(got: string, expected: string): void {
    this.warnings.push(
      new DataError(`${this.path}: ${this.messages} messages read`, got, expected),
    );
  }
}

const empty = new Uint8Array(0);
