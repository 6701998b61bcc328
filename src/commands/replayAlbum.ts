/** What a replay leaves behind: replay.mcap as it goes, and the pictures of its page. Marks and traces are drawn here. */
import { join } from 'node:path';
import { type Instant, secondsFromNs } from '../control/clock.js';
import type { Config } from '../config.js';
import { DataError } from '../errors.js';
import { rgbFromCamera } from '../image/camera.js';
import { encodeJpeg } from '../image/codec.js';
import { resizePillow } from '../image/pillow.js';
import type { Frame } from '../report/runReport.js';
import { Recorder } from '../robot/replay/recorder.js';
import type { ReplayRobot } from '../robot/replay/replayRobot.js';
import type { Answer, Observation, Pixel, TracePrediction } from '../types.js';
import { annotate } from './filmstrip.js';
import { makeFolder } from './folder.js';
import type { ReplayWatcher } from './replay.js';
import { decisionsInto } from './runRecorder.js';

/** Pictures on the page: where there are more, every second one goes, then every fourth … */
const mostShown = 24;
/** Longest side of a picture with marks, px. */
const pictureSide = { least: 384, most: 768 } as const;
const jpegQuality = 85;

interface Shown {
  readonly seconds: number;
  readonly instruction: string;
  readonly jpeg: Uint8Array;
  readonly answer: Answer<TracePrediction> | null;
}

export class ReplayAlbum implements ReplayWatcher {
  readonly listener: Recorder;
  readonly onAction: ReturnType<typeof decisionsInto>['onAction'];
  readonly onTick: ReturnType<typeof decisionsInto>['onTick'];
  readonly #decisions: ReturnType<typeof decisionsInto>;
  readonly #startNs: bigint;
  #shown: Shown[] = [];
  #stride = 1;
  #offered = 0;
  #episode: number | null = null;
  #pictures: Promise<void>[] = [];
  #asksTraces = false;

  /** Creates the folder and its replay.mcap. @throws DataError, ConfigError */
  static async open(folder: string, config: Config, robot: ReplayRobot): Promise<ReplayAlbum> {
    await makeFolder(folder);
    const path = join(folder, 'replay.mcap');
    return new ReplayAlbum(await Recorder.open(path, config, () => robot.stampNs), robot.stampNs);
  }

  private constructor(recorder: Recorder, startNs: bigint) {
    this.listener = recorder;
    this.#decisions = decisionsInto(recorder);
    ({ onAction: this.onAction, onTick: this.onTick } = this.#decisions);
    this.#startNs = startNs;
  }

  /** Without traces, the first picture of each episode is shown as it is. */
  onRequest(observation: Observation): void {
    if (observation.episode === this.#episode || this.#asksTraces) return;
    this.#episode = observation.episode;
    const camera = Object.keys(observation.images)[0];
    if (camera !== undefined) this.#pictures.push(this.#picture(observation, camera, null));
  }

  onTrace(answer: Answer<TracePrediction>, observation: Observation, at: Instant): void {
    if (!this.#asksTraces) [this.#shown, this.#offered, this.#asksTraces] = [[], 0, true];
    const camera = answer.ok ? answer.value.camera : Object.keys(observation.images)[0]!;
    this.#decisions.onTrace(answer, observation, at);
    this.#pictures.push(this.#picture(observation, camera, answer));
  }

  async settle(): Promise<void> {
    await Promise.all(this.#pictures.splice(0));
    await this.listener.drain();
  }

  /** Ends the recording. @throws DataError */
  async close(): Promise<void> {
    await this.listener.close();
  }

  /** For the page, in the order of time. */
  frames(): Frame[] {
    return this.#shown.map(({ seconds, instruction, jpeg, answer }): Frame => {
      const words = traceWords(answer);
      const caption = `${seconds.toFixed(1)} s: ${instruction}${words === '' ? '' : ` — ${words}`}`;
      return {
        image: `data:image/jpeg;base64,${Buffer.from(jpeg).toString('base64')}`,
        alt: caption,
        caption,
        outcome: answer?.ok === false ? 'bad' : 'neutral',
      };
    });
  }

  /** A picture that cannot be decoded is left out; the model's refusal names it. */
  async #picture(
    observation: Observation,
    camera: string,
    answer: Answer<TracePrediction> | null,
  ): Promise<void> {
    const image = observation.images[camera];
    if (!image) return;
    let jpeg: Uint8Array;
    try {
      const source = await rgbFromCamera(image, `camera ${camera}`);
      const zoom = zoomFor(Math.max(source.height, source.width));
      const size = {
        height: Math.round(source.height * zoom),
        width: Math.round(source.width * zoom),
      };
      const shot = {
        picture: resizePillow(source, size, 'bicubic'),
        path: [] as readonly Pixel[],
        prediction: answer?.ok ? answer.value : null,
      };
      jpeg = await encodeJpeg(annotate(shot, source.width), jpegQuality);
    } catch (error) {
      if (error instanceof DataError) return;
      throw error;
    }
    const { stampNs, frameId } = image;
    if (answer?.ok)
      this.listener.annotatedImage(camera, {
        ...{ kind: 'compressed', format: 'jpeg', stampNs, frameId, data: jpeg },
      });
    if (this.#offered++ % this.#stride === 0) this.#show(observation, jpeg, answer);
  }

  #show(observation: Observation, jpeg: Uint8Array, answer: Shown['answer']): void {
    const seconds = secondsFromNs(observation.stampNs - this.#startNs);
    this.#shown.push({ seconds, instruction: observation.instruction, jpeg, answer });
    if (this.#shown.length <= mostShown) return;
    this.#shown = this.#shown.filter((_, i) => i % 2 === 0);
    this.#stride *= 2;
  }
}

function zoomFor(side: number): number {
  return Math.min(pictureSide.most, Math.max(pictureSide.least, side)) / side;
}

function traceWords(answer: Answer<TracePrediction> | null): string {
  if (!answer) return '';
  if (!answer.ok) return `no trace (${answer.refusal.kind})`;
  const ids = answer.value.traces.map(({ id }) => id);
  if (ids.length === 0) return 'no mark is said to move';
  return `${ids.length === 1 ? 'mark' : 'marks'} ${ids.join(', ')} said to move`;
}
