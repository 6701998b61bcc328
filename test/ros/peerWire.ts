/** The wire to peer.py: requests and events as JSON lines over a child process's pipes. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Fields, Message } from './peerTypes.js';

export type PeerEvent = Readonly<Record<string, Message>>;

export class PeerWire {
  private readonly process: ChildProcess;
  private readonly pending = new Map<
    number,
    { resolve: (r: Message) => void; reject: (e: Error) => void }
  >();
  /** Who hears events. */
  readonly told = new Set<(event: PeerEvent) => void>();
  private errors = '';
  private counter = 0;
  private ended: string | null = null;

  static async start(name: string, domain: number | undefined): Promise<PeerWire> {
    const wire = new PeerWire(name, domain);
    await wire.event((e) => e['event'] === 'ready', 20_000, 'the peer to start');
    return wire;
  }

  private constructor(name: string, domain: number | undefined) {
    const script = fileURLToPath(new URL('./peer.py', import.meta.url));
    // It tells when things happened: it must not wait for the processor. Where niceness may not be raised, `nice` goes on.
    this.process = spawn('nice', ['-n', '-10', 'python3', script, name], {
      env: {
        ...process.env,
        ...(domain === undefined ? {} : { ROS_DOMAIN_ID: String(domain) }),
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.process.stderr!.on('data', (chunk: Buffer) => {
      this.errors += chunk.toString();
    });
    this.process.on('close', (code) => {
      this.ended = `peer.py ended (${String(code)}): ${this.errors.slice(-2000)}`;
      for (const { reject } of this.pending.values()) reject(new Error(this.ended));
      this.pending.clear();
    });
    createInterface({ input: this.process.stdout! }).on('line', (line) => {
      this.hear(JSON.parse(line) as PeerEvent);
    });
    process.once('exit', () => this.process.kill('SIGKILL'));
  }

  async stop(): Promise<void> {
    if (this.ended !== null) return;
    const closed = new Promise((resolve) => this.process.once('close', resolve));
    this.process.stdin!.end();
    const force = setTimeout(() => this.process.kill('SIGKILL'), 3000);
    await closed;
    clearTimeout(force);
  }

  /** @throws with peer.py's words where it could not do it. */
  ask<T = Message>(op: string, fields: Fields, ms = 10_000): Promise<T> {
    if (this.ended !== null) return Promise.reject(new Error(this.ended));
    const id = ++this.counter;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id);
        reject(
          new Error(`peer.py did not answer ${op} within ${ms} ms: ${this.errors.slice(-1000)}`),
        );
      }, ms);
      this.pending.set(id, {
        resolve: (result) => {
          clearTimeout(timer);
          resolve(result as T);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.process.stdin!.write(`${JSON.stringify({ id, op, ...fields }, toWire)}\n`);
    });
  }

  private hear(record: PeerEvent): void {
    const revived = revive(record) as PeerEvent;
    if ('event' in revived) {
      for (const told of [...this.told]) told(revived);
      return;
    }
    const waiting = this.pending.get(revived['id'] as number);
    this.pending.delete(revived['id'] as number);
    if ('error' in revived) waiting?.reject(new Error(revived['error'] as string));
    else waiting?.resolve(revived['result']);
  }

  /** Resolves at the first event after which `test` holds. */
  event(test: (event: PeerEvent) => boolean, ms: number, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.told.delete(told);
        reject(new Error(`waited ${ms} ms for ${what}${this.ended ? `; ${this.ended}` : ''}`));
      }, ms);
      const told = (event: PeerEvent): void => {
        if (!test(event)) return;
        clearTimeout(timer);
        this.told.delete(told);
        resolve();
      };
      this.told.add(told);
    });
  }

  async until(test: () => boolean, ms: number, what: string): Promise<void> {
    if (!test()) await this.event(test, ms, what);
  }

  async poll(test: () => Promise<boolean>, ms: number, what: string): Promise<void> {
    const deadline = performance.now() + ms;
    while (!(await test())) {
      if (performance.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** What JSON cannot hold, as peer.py reads it. */
function toWire(this: Message, key: string, value: unknown): unknown {
  // JSON.stringify has called Buffer.toJSON already: look at what was there before.
  const held = (this as Record<string, unknown>)[key];
  if (held instanceof Uint8Array) return { base64: Buffer.from(held).toString('base64') };
  if (ArrayBuffer.isView(held)) return Array.from(held as Float64Array);
  if (typeof value === 'bigint')
    return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : { bigint: String(value) };
  if (typeof value === 'number' && !Number.isFinite(value)) return { number: String(value) };
  return value;
}

function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  if (entries.length === 1) {
    const [name, held] = entries[0]!;
    if (name === 'base64') return Buffer.from(held as string, 'base64');
    if (name === 'number') return Number(held);
    if (name === 'bigint') return BigInt(held as string);
  }
  return Object.fromEntries(entries.map(([name, held]) => [name, revive(held)]));
}

export const shown = (message: unknown): string =>
  (
    JSON.stringify(message, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v)) as
      string | undefined
  )?.slice(0, 300) ?? 'none';
