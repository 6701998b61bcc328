/** The black box of the live node: what it hears and decides, in memory, written where `blackBox` of robot.yaml says. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config.js';
import type { FlightRecorder } from '../node/ports.js';
import { seenFrom } from '../robot/messages/observationHash.js';
import { BlackBox } from '../robot/replay/blackBox.js';
import type { Instant } from '../control/clock.js';

export function flightRecorder(
  config: Config,
  now: () => Instant,
  say: (line: string) => void,
): FlightRecorder {
  const folder = config.blackBox.folder ?? join(homedir(), '.ros', 'magma_vla', config.robot);
  const utcMs = (): number => Date.now();
  const box = new BlackBox({ config, folder, now, utcMs, onProblem: say });
  return {
    onImage: (camera, image) => box.onImage(camera, image),
    onJoints: (joints) => box.onJoints(joints),
    onEndEffector: (reading) => box.onEndEffector(reading),
    onGripper: (reading) => box.onGripper(reading),
    onInstruction: (instruction) => box.onInstruction(instruction),
    onReset: (because) => box.onReset(because),
    observer: {
      onRequest: ({ instruction }) => box.onInstruction(instruction),
      onAction: (answer, { observation }) => {
        if (answer.ok) box.action(answer.value, seenFrom(observation));
        else box.refusal(answer.refusal);
      },
      onTrace: (answer, { images }) => {
        if (answer.ok) box.traces(answer.value, images[answer.value.camera]?.frameId ?? '');
        else box.refusal(answer.refusal);
      },
      onTick: ({ verdict }) => {
        box.verdict(verdict);
        box.command(verdict.command);
      },
    },
    dump: (because) => box.dump(because),
    close: () => box.close(),
  };
}
