/** What a person reads while a model loads. */
import type { LoadProgress } from '../model/protocol.js';

const stageNames: Readonly<Record<LoadProgress['stage'], string>> = {
  hash: 'checking weights',
  vision: 'building the vision graph',
  decoder: 'building the decoder graphs',
  sessions: 'opening sessions',
  warmUp: 'warming up and testing itself',
};

/** One line per stage of loading, not one per percent. */
export function loadProgress(say: (line: string) => void): (progress: LoadProgress) => void {
  let last = '';
  return ({ stage }) => {
    if (stage !== last) say(`model: ${stageNames[stage]} …`);
    last = stage;
  };
}

/** ms → text in seconds. */
export const seconds = (ms: number): string => `${(ms / 1e3).toFixed(1)} s`;
