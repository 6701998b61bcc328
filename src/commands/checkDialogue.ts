/** How a check talks with the person beside the arm. Nothing but a plain yes is consent. */
import { createInterface } from 'node:readline/promises';

/** The person ended the check: Ctrl-C, a closed terminal, a signal. */
export class CheckEnded extends Error {
  override name = 'CheckEnded';
}

export interface Dialogue {
  say(line: string): void;
  /** Resolves with whether the answer was y or yes. @throws CheckEnded where the person ends the check instead. */
  agree(question: string): Promise<boolean>;
  close(): void;
}

export interface Terminal {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
}

export interface TerminalEvents {
  /** Ctrl-C, each time. */
  readonly onInterrupt: () => void;
  /** Nobody can answer any more: Ctrl-D, a lost connection. May be told more than once. */
  readonly onLost: (because: string) => void;
}

/** Asks on a terminal; questions end with `signal`. A terminal that is gone is told of, and harms nothing. */
export function terminalDialogue(
  { input, output }: Terminal,
  signal: AbortSignal,
  { onInterrupt, onLost }: TerminalEvents,
): Dialogue {
  const lines = createInterface({ input, output, terminal: true });
  lines.on('SIGINT', onInterrupt);
  lines.on('close', () => onLost('the terminal was closed'));
  // What nobody listens to would end the process, and the arm would not be brought to rest.
  for (const source of [lines, input, output])
    source.on('error', (error: Error) => onLost(`the terminal failed: ${error.message}`));
  return {
    say: (line) => void output.write(`${line}\n`),
    agree: async (question) => {
      try {
        return isYes(await lines.question(`${question} [y/N] `, { signal }));
      } catch (error) {
        throw signal.aborted ? new CheckEnded(reasonOf(signal)) : error;
      }
    },
    close: () => {
      lines.removeAllListeners('close');
      lines.close();
    },
  };
}

/** Agrees to everything, and shows that it does. For a simulation, where nobody can be hurt. */
export function agreeingDialogue(say: (line: string) => void, signal: AbortSignal): Dialogue {
  return {
    say,
    agree: (question) => {
      if (signal.aborted) return Promise.reject(new CheckEnded(reasonOf(signal)));
      say(`${question} [y/N] yes (--yes)`);
      return Promise.resolve(true);
    },
    close: () => undefined,
  };
}

export function isYes(answer: string): boolean {
  return ['y', 'yes'].includes(answer.trim().toLowerCase());
}

function reasonOf({ reason }: AbortSignal): string {
  return reason instanceof Error ? reason.message : String(reason);
}
