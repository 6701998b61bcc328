/**
 * A worker that speaks model/protocol.ts and does what the observation's instruction tells it: `answer`, `hang`, `crash`,
 * `exit`, `late` (answers when it is told that nobody waits), `hold` (answers after the next request's answer).
 * The model folder tells how it starts: `ready`, `unusable`, `crash`, `silent`.
 */
import { parentPort, workerData } from 'node:worker_threads';

const timing = { decodeMs: 1, preprocessMs: 2, visionMs: 3, generateMs: 4, totalMs: 10 };
const held = [];

function answer({ kind, id, observation }) {
  const { stampNs, episode, images } = observation;
  const bytes = Object.fromEntries(
    Object.entries(images).map(([name, { data }]) => [
      name,
      { data, buffer: data.buffer.byteLength },
    ]),
  );
  const value = { observationStampNs: stampNs, episode, bytes, confidence: 1, timing };
  parentPort.postMessage({ kind, id, outcome: { answer: { ok: true, value }, timing } });
}

const behaviours = {
  answer,
  hang: () => {
    for (;;);
  },
  crash: () => {
    throw new Error('the fake worker was told to');
  },
  exit: () => process.exit(3),
  late: (request) => held.push(request),
  hold: (request) => held.push(request),
};

function receive(message) {
  if (message.kind === 'close') return parentPort.close();
  const before = held.splice(0);
  if (message.kind !== 'cancel') behaviours[message.observation.instruction](message);
  before.forEach(answer);
}

const starts = {
  ready: () => {
    parentPort.on('message', receive);
    parentPort.postMessage({ kind: 'progress', progress: { stage: 'warmUp', fraction: 0.5 } });
    const facts = {
      name: 'fake',
      sha256: '00',
      graphs: 'cache',
      provider: { provider: 'cpu', reason: 'it is a fake' },
      decoding: { kind: 'loop', reason: 'it is a fake' },
      cameras: { action: ['front'], trace: ['front'] },
      loadMs: 1,
      warmUpMs: 1,
    };
    parentPort.postMessage({ kind: 'ready', facts });
  },
  unusable: () => {
    parentPort.postMessage({ kind: 'unusable', where: 'model.json', got: 'x', expected: 'y' });
    parentPort.close();
  },
  crash: () => {
    throw new Error('the fake worker cannot start');
  },
  silent: () => parentPort.on('message', () => undefined),
};

starts[workerData.folder]();
