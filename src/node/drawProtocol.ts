/** What the drawing thread is asked and answers: structured-clone data only. */
import type { CameraImage, RgbImage } from '../types.js';
import type { Overlay } from './annotatedPicture.js';

export interface DrawRequest {
  /** Its bytes are handed over. */
  readonly image: CameraImage;
  readonly overlay: Overlay;
  readonly wants: { readonly raw: boolean; readonly jpeg: boolean };
}

export type DrawReply =
  | {
      readonly ok: true;
      /** rgb8; null where not asked for. */
      readonly raw: RgbImage | null;
      readonly jpeg: Uint8Array | null;
    }
  | { readonly ok: false; readonly problem: string };
