/** The drawing thread: decodes, draws and encodes one picture at a time. */
import { messageOf } from '../errors.js';
import { parentPort } from 'node:worker_threads';
import { rgbFromCamera } from '../image/camera.js';
import { encodeJpeg } from '../image/codec.js';
import { annotatedPicture } from './annotatedPicture.js';
import type { DrawReply, DrawRequest } from './drawProtocol.js';

const JPEG_QUALITY = 85;

parentPort!.on('message', (request: DrawRequest) => {
  void draw(request)
    .catch((error: unknown): DrawReply => {
      return { ok: false, problem: messageOf(error) };
    })
    .then((reply) => parentPort!.postMessage(reply));
});

async function draw({ image, overlay, wants }: DrawRequest): Promise<DrawReply> {
  const picture = annotatedPicture(await rgbFromCamera(image, 'the annotated picture'), overlay);
  return {
    ok: true,
    raw: wants.raw ? picture : null,
    jpeg: wants.jpeg ? await encodeJpeg(picture, JPEG_QUALITY) : null,
  };
}
