/**
 * `~/annotated_image` (rgb8) and `~/annotated_image/compressed` (JPEG), as image_transport names them: a camera's picture
 * with what the policy predicts drawn in. Decoded, drawn and encoded on another thread, only while somebody subscribes,
 * one at a time: of the pictures that come meanwhile the newest is next.
 */
import { messageOf } from '../errors.js';
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { messageFromImage } from '../robot/messages/messages.js';
import { qos, type RosNode, type RosPublisher } from '../robot/ros/ros.js';
import type { CameraImage } from '../types.js';
import type { Overlay } from './annotatedPicture.js';
import type { DrawReply, DrawRequest } from './drawProtocol.js';

/** A thread that ends by itself so often is not started again. */
const MAX_STARTS = 5;

interface Job {
  readonly image: CameraImage;
  readonly overlay: Overlay;
}

export class AnnotatedImages {
  readonly #node: RosNode;
  readonly #raw: RosPublisher;
  readonly #jpeg: RosPublisher;
  #worker: Worker | null = null;
  #starts = 0;
  #underWay: Job | null = null;
  #next: Job | null = null;
  #isTold = false;
  #isClosed = false;

  constructor(node: RosNode) {
    this.#node = node;
    const topic = '~/annotated_image';
    this.#raw = node.publisher('sensor_msgs/msg/Image', topic, qos.command);
    this.#jpeg = node.publisher(
      'sensor_msgs/msg/CompressedImage',
      `${topic}/compressed`,
      qos.command,
    );
  }

  /** Whether anybody looks. */
  get isWanted(): boolean {
    return this.#raw.subscriptions > 0 || this.#jpeg.subscriptions > 0;
  }

  /** The picture's bytes are borrowed until it is drawn: they are copied when its turn comes. */
  show(image: CameraImage, overlay: Overlay): void {
    if (this.#isClosed || !this.isWanted) return;
    this.#next = { image, overlay };
    this.#begin();
  }

  dispose(): void {
    this.#isClosed = true;
    this.#next = null;
    void this.#worker?.terminate();
    this.#raw.dispose();
    this.#jpeg.dispose();
  }

  #begin(): void {
    if (this.#underWay || !this.#next) return;
    const worker = this.#thread();
    if (!worker) return;
    const { image, overlay } = this.#next;
    this.#underWay = this.#next;
    this.#next = null;
    const data = new Uint8Array(image.data);
    const wants = { raw: this.#raw.subscriptions > 0, jpeg: this.#jpeg.subscriptions > 0 };
    const request: DrawRequest = { image: { ...image, data }, overlay, wants };
    worker.postMessage(request, [data.buffer]);
  }

  #thread(): Worker | null {
    if (this.#worker || this.#starts >= MAX_STARTS) return this.#worker;
    this.#starts++;
    const worker = new Worker(builtWorker(), { name: 'drawing' });
    worker.unref();
    worker.on('message', (reply: DrawReply) => this.#take(reply));
    worker.on('error', (error: Partial<Error>) => this.#tell(error.message ?? 'an unknown error'));
    worker.on('exit', () => {
      if (this.#isClosed) return;
      this.#worker = null;
      this.#underWay = null;
      this.#tell(`the drawing thread ended; started ${this.#starts} of ${MAX_STARTS} times`);
    });
    this.#worker = worker;
    return worker;
  }

  #take(reply: DrawReply): void {
    const job = this.#underWay;
    this.#underWay = null;
    if (!job || this.#isClosed) return;
    try {
      if (reply.ok) this.#publish(job.image, reply);
      else this.#tell(reply.problem);
    } catch (error) {
      this.#tell(messageOf(error));
    }
    this.#begin();
  }

  #publish({ stampNs, frameId }: CameraImage, reply: Extract<DrawReply, { ok: true }>): void {
    const { raw, jpeg } = reply;
    if (jpeg)
      this.#jpeg.publish(
        messageFromImage({ kind: 'compressed', stampNs, frameId, format: 'jpeg', data: jpeg }),
      );
    if (!raw) return;
    const { height, width, data } = raw;
    const layout = { height, width, encoding: 'rgb8', step: 3 * width, isBigEndian: false };
    this.#raw.publish(messageFromImage({ kind: 'raw', stampNs, frameId, ...layout, data }));
  }

  /** Once: a picture for people is no reason to fill a log. */
  #tell(problem: string): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#node.log.warn(`~/annotated_image: ${problem}`);
  }
}

/** Beside this file, or, where this file runs from the sources, in dist. */
function builtWorker(): URL {
  const beside = new URL('./drawWorker.js', import.meta.url);
  return existsSync(beside) ? beside : new URL('../../dist/node/drawWorker.js', import.meta.url);
}
