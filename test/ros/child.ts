/** Processes a test starts: their output is kept, and none outlives its test. */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Root of this repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface ExitOf {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface SpawnOptions {
  /** On top of this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const running = new Set<Child>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class Child {
  readonly exited: Promise<ExitOf>;
  /** stdout and stderr as they came. */
  output = '';
  private readonly process: ChildProcess;
  private readonly waiting = new Set<() => void>();
  private ended = false;

  constructor(command: string, args: readonly string[], options: SpawnOptions = {}) {
    this.process = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this);
    const keep = (chunk: Buffer): void => {
      this.output += chunk.toString();
      this.wake();
    };
    this.process.stdout!.on('data', keep);
    this.process.stderr!.on('data', keep);
    this.exited = new Promise((resolve) => {
      this.process.on('error', (error) => (this.output += `\n${error.message}`));
      this.process.on('close', (code, signal) => {
        this.ended = true;
        running.delete(this);
        resolve({ code, signal });
        this.wake();
      });
    });
  }

  get pid(): number {
    return this.process.pid!;
  }

  get isRunning(): boolean {
    return !this.ended;
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.process.kill(signal);
  }

  /** Resolves with the match once the output so far, from character `from` on, holds `pattern`. */
  async waitForOutput(pattern: RegExp, ms: number, from = 0): Promise<RegExpExecArray> {
    const deadline = performance.now() + ms;
    for (;;) {
      const match = pattern.exec(this.output.slice(from));
      if (match) return match;
      const left = deadline - performance.now();
      if (this.ended || left <= 0)
        throw new Error(
          `${this.ended ? 'ended' : `silent for ${ms} ms`}; expected ${String(pattern)}:\n${this.output.slice(-4000)}`,
        );
      await this.change(left);
    }
  }

  /** Ends it with `signal`, by force where it does not go within `ms`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', ms = 5000): Promise<ExitOf> {
    if (!this.ended) this.kill(signal);
    const force = setTimeout(() => this.kill('SIGKILL'), ms);
    const exit = await this.exited;
    clearTimeout(force);
    return exit;
  }

  private change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.waiting.add(done);
    });
  }

  private wake(): void {
    for (const done of [...this.waiting]) done();
  }
}

/** This project's program: `spawnNode(['run', '--ros-args', …])`. `npm run test:ros` has built it. */
export function spawnNode(args: readonly string[], options: SpawnOptions = {}): Child {
  return new Child(process.execPath, ['dist/main.js', ...args], options);
}

/** For afterEach: ends whatever this test file has left running. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((child) => child.stop('SIGKILL')));
}
