/**
 * The inference thread's main: model folder → graphs → predictor → requests served until told to close. This file wires,
 * as main.ts does on its thread, and is the only one of this room that knows the converter.
 */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { graphsFolder, openGraphs } from '../convert/build.js';
import { InputError } from '../errors.js';
import { Predictor, readModelParts } from './predictor.js';
import type { FromWorker, ModelFacts, ModelSettings, ToWorker } from './protocol.js';
import { checkProvider, openRuntime } from './runtime.js';
import { Scheduler } from './scheduler.js';
import { warmUp } from './warmUp.js';

const port = parentPort;
if (!port) throw new InputError('model/worker.js', 'the main thread', 'a worker thread');

const post = (message: FromWorker): void => port.postMessage(message);
const nowMs = (): number => performance.now();

async function load(
  settings: ModelSettings,
): Promise<{ readonly predictor: Predictor; readonly facts: ModelFacts }> {
  const startedMs = nowMs();
  const parts = readModelParts(settings);
  await checkProvider(join(settings.folder, graphsFolder), settings.provider);
  const graphs = openGraphs(settings.folder, parts.contract, settings.cache, (progress) =>
    post({ kind: 'progress', progress }),
  );
  post({ kind: 'progress', progress: { stage: 'sessions', fraction: 0 } });
  const runtime = await openRuntime(graphs.folder, settings);
  const predictor = new Predictor(parts, runtime, settings, nowMs);
  const loadedMs = nowMs();
  post({ kind: 'progress', progress: { stage: 'warmUp', fraction: 0 } });
  await warmUp(predictor, settings.robot.baseFrame);
  const { manifest, provider, generator } = runtime;
  const facts: ModelFacts = {
    name: parts.contract.name,
    sha256: manifest.sha256,
    graphs: graphs.origin,
    provider,
    decoding: generator.decoding,
    cameras: predictor.cameras,
    loadMs: loadedMs - startedMs,
    warmUpMs: nowMs() - loadedMs,
  };
  return { predictor, facts };
}

function serve(predictor: Predictor): void {
  const scheduler = new Scheduler({
    predictor,
    reply: post,
    turn: () => setImmediate(),
    // Out of the promise chain: an uncaught error ends the thread, and the client starts another.
    onFailure: (error) => {
      process.nextTick(() => {
        throw error;
      });
    },
  });
  port!.on('message', (message: ToWorker) => {
    if (message.kind !== 'close') {
      scheduler.receive(message);
      return;
    }
    scheduler.stop();
    port!.close();
  });
}

try {
  const { predictor, facts } = await load(workerData as ModelSettings);
  serve(predictor);
  post({ kind: 'ready', facts });
} catch (error) {
  if (!(error instanceof InputError)) throw error;
  const { where, got, expected } = error;
  post({ kind: 'unusable', where, got, expected });
  port.close();
}
