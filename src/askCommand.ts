/** `magma-vla ask`, wired as main.ts wires the others: arguments in, answers out, exit code 1 where one is refused. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { integer } from './commands/argument.js';
import { ask, type AskRequest, type Wanted } from './commands/ask.js';
import { answeredPicture, answerLines } from './commands/askAnswers.js';
import type { PictureSource } from './commands/askPictures.js';
import { ConfigError } from './errors.js';
import { encodeJpeg, encodePng } from './image/codec.js';
import type { ProviderSetting } from './model/session.js';

export interface AskCommandOptions {
  readonly version: string;
  /** Where converted graphs are kept. */
  readonly cache: string;
  readonly say: (line: string) => void;
}

interface AskFlags {
  readonly model: string;
  readonly provider: ProviderSetting;
  readonly threads: number;
  readonly image?: string;
  readonly bag?: string;
  readonly camera?: string;
  readonly at?: number;
  readonly video?: true;
  readonly frames: number;
  readonly screen?: true;
  readonly locate?: true;
  readonly marks?: string;
  readonly out?: string;
  readonly maxTokens?: number;
  readonly json?: true;
}

export function addAskCommand(program: Command, options: AskCommandOptions): void {
  const { version, cache, say } = options;
  program
    .command('ask')
    .description(
      'questions about a picture, a video or a screenshot, for a model that was trained to answer them (Magma-8B)',
    )
    .argument('[questions...]', 'each is asked about the same pictures, which are encoded once')
    .requiredOption('--model <folder>', 'model folder; models/nano was not trained to answer')
    .addOption(
      new Option('--provider <name>', 'ONNX Runtime execution provider')
        .choices(['auto', 'cuda', 'webgpu', 'cpu'])
        .default('auto'),
    )
    .option('--threads <n>', 'threads within one operator on the CPU', integer(1), 1)
    .option('--image <path>', 'a JPEG or PNG; with --video a folder of them, or a video file')
    .option('--bag <path>', 'rosbag2 MCAP instead: a file or a folder')
    .option('--camera <topic>', "which of the bag's topics with pictures, where it has several")
    .option('--at <s>', "with --bag: the picture of that moment, from the bag's start", moment)
    .option('--video', 'ask about frames in the order of time, spread over all there are')
    .option('--frames <n>', 'with --video: how many at most', integer(1), 8)
    .option('--screen', 'the question is what to click on: answers with a place of the screenshot')
    .option('--locate', 'no question: the model says where the numbered marks are')
    .option(
      '--marks <list>',
      'drawn first: x,y,width,height;… with --screen, x,y;… with --locate, or a JSON file of such lists',
    )
    .option('--out <file>', 'with --screen or --locate: the picture with the answers drawn in')
    .option('--max-tokens <n>', "longest answer (default: the model's)", integer(1))
    .option('--json', 'last line of stdout: the result as JSON')
    .action(async (questions: readonly string[], flags: AskFlags) => {
      const request = requestFrom(questions, flags, cache, say);
      const { result, picture } = await ask({ ...request, ...printerFor(flags) });
      if (result.answers.some(({ refused }) => refused !== null)) process.exitCode = 1;
      if (flags.out !== undefined) {
        const drawn = answeredPicture(picture, result);
        const isPng = flags.out.endsWith('.png');
        writeFileSync(flags.out, await (isPng ? encodePng(drawn) : encodeJpeg(drawn, 90)));
        say(`picture: ${flags.out}`);
      }
      if (flags.json) console.log(JSON.stringify({ command: 'ask', version, ...result }));
    });
}

/** Arguments → what is asked. @throws ConfigError for what does not go together. */
export function requestFrom(
  questions: readonly string[],
  flags: AskFlags,
  cache: string,
  say: AskRequest['say'],
): AskRequest {
  const wanted = wantedFrom(flags);
  if (wanted.kind === 'location' && questions.length > 0) {
    throw new ConfigError('--locate', `"${questions[0]}"`, 'no question');
  }
  if (wanted.kind !== 'location' && questions.length === 0) {
    throw new ConfigError('ask', 'no question', 'one or more, in quotes');
  }
  const draws = wanted.kind === 'location' || wanted.kind === 'interface';
  if (flags.out !== undefined && !draws) {
    throw new ConfigError('--out', 'an answer in words only', '--screen or --locate with it');
  }
  if (flags.marks !== undefined && !draws) {
    throw new ConfigError('--marks', 'neither --screen nor --locate', 'one of them');
  }
  if (flags.out !== undefined && !/\.(?:png|jpe?g)$/.test(flags.out)) {
    throw new ConfigError('--out', flags.out, 'a name that ends in .png or .jpg');
  }
  return {
    folder: resolve(flags.model),
    cache,
    provider: flags.provider,
    threads: flags.threads,
    source: sourceFrom(flags),
    wanted,
    questions: wanted.kind === 'location' ? [''] : questions,
    ...(flags.maxTokens === undefined ? {} : { maxTokens: flags.maxTokens }),
    nowMs: () => performance.now(),
    say,
  };
}

function wantedFrom({ video, frames, screen, locate, marks }: AskFlags): Wanted {
  const chosen = [video && '--video', screen && '--screen', locate && '--locate'].filter(Boolean);
  if (chosen.length > 1) throw new ConfigError('ask', chosen.join(' and '), 'one of them');
  const drawn = marks === undefined ? {} : { marks };
  if (video) return { kind: 'video', frames };
  if (screen) return { kind: 'interface', ...drawn };
  if (locate) return { kind: 'location', ...drawn };
  return { kind: 'question' };
}

function sourceFrom({ image, bag, camera, at, video }: AskFlags): PictureSource {
  if ((image === undefined) === (bag === undefined)) {
    const got = image === undefined ? 'neither --image nor --bag' : '--image and --bag';
    throw new ConfigError('ask', got, 'one of them');
  }
  if (image !== undefined) {
    const odd = camera === undefined ? (at === undefined ? null : '--at') : '--camera';
    if (odd) throw new ConfigError(odd, 'no --bag', 'a bag');
    return { kind: 'file', path: image };
  }
  if (video && at !== undefined) throw new ConfigError('--at', '--video', 'one moment or a video');
  return {
    ...{ kind: 'bag', path: bag! },
    ...(camera === undefined ? {} : { camera }),
    ...(at === undefined ? {} : { at }),
  };
}

/** `12.5` or `12.5s`. */
function moment(text: string): number {
  const value = Number(text.replace(/ ?s$/, ''));
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('expected seconds ≥ 0, such as 12.5s');
  return value;
}

/** On a terminal answers are written as they come, elsewhere when they are whole. With --json stdout holds that alone. */
function printerFor({ json }: AskFlags): Pick<AskRequest, 'onQuestion' | 'onText' | 'onAnswer'> {
  const out = json ? process.stderr : process.stdout;
  const write = (lines: readonly string[]): void => void out.write(`${lines.join('\n')}\n`);
  return {
    onQuestion: (question) => {
      if (question !== '') write([`> ${question}`]);
    },
    ...(out.isTTY ? { onText: (text: string) => void out.write(text) } : {}),
    onAnswer: (answered) => {
      const lines = answerLines(answered);
      if (!out.isTTY) write(lines);
      // The words stand there already.
      else write(answered.said ? ['', ...lines.slice(1)] : lines);
    },
  };
}
