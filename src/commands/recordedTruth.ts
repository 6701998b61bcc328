/** The truth behind the camera frames of a simulated run, in its recording: for the expert, when the run is replayed. */
import { z } from 'zod';
import type { Bag } from '../robot/replay/bag.js';
import { decodeCdr } from '../robot/messages/cdr.js';
import { textFromMessage } from '../robot/messages/messages.js';
import { outputTopics, type Recorder } from '../robot/replay/recorder.js';
import { layoutOf } from '../robot/messages/schemas.js';
import type { Truth } from '../robot/sim/expertPolicy.js';
import type { SimRobot } from '../robot/sim/simRobot.js';
import { taskFor } from '../robot/sim/instructions.js';
import { blockColours, padColours, type SceneState } from '../robot/sim/tasks.js';
import type { RobotListener } from '../robot/robot.js';
import type { Observation } from '../types.js';
import { parseJsonLine } from './jsonLine.js';

const vec3 = z.tuple([z.number(), z.number(), z.number()]);
const schema = z.strictObject({
  stampNs: z.string().regex(/^\d{1,19}$/),
  state: z.strictObject({
    tcp: vec3,
    tcpYaw: z.number(),
    gripperWidth: z.number(),
    blocks: z.partialRecord(
      z.enum(blockColours),
      z.strictObject({ position: vec3, yaw: z.number(), half: z.number().optional() }),
    ),
    pads: z.partialRecord(z.enum(padColours), vec3),
    clutter: z.array(vec3).optional(),
  }),
});

/** Hears the robot, and records the truth of each frame as JSON text. */
export function truthInto(recorder: Recorder, robot: SimRobot): RobotListener {
  const nothing = (): void => undefined;
  return {
    onImage: (_camera, { stampNs }) => {
      const frame = robot.frames.at(-1);
      if (frame?.stampNs === stampNs)
        recorder.truth(JSON.stringify({ stampNs: String(stampNs), state: frame.state }));
    },
    onJoints: nothing,
    onEndEffector: nothing,
    onGripper: nothing,
    onInstruction: nothing,
    onReset: nothing,
  };
}

/** What truthInto recorded, by observation; null where the bag holds none. @throws DataError on other text */
export async function readTruth(
  bag: Bag,
): Promise<((observation: Observation) => Truth | null) | null> {
  const topic = bag.topics.get(outputTopics.truth);
  if (!topic || !bag.counts.has(topic.topic)) return null;
  const layout = layoutOf(topic);
  const states = new Map<bigint, SceneState>();
  for await (const { data, logTimeNs } of bag.messages(new Set([topic.topic]))) {
    const where = `topic ${topic.topic} at ${logTimeNs} ns`;
    const { stampNs, state } = parseTruth(
      textFromMessage(decodeCdr(layout, data, where), where),
      where,
    );
    states.set(BigInt(stampNs), state);
  }
  return ({ stampNs, instruction }) => {
    const [state, task] = [states.get(stampNs), taskFor(instruction)];
    return state && task ? { state, task } : null;
  };
}

function parseTruth(text: string, where: string): z.infer<typeof schema> {
  return parseJsonLine(schema, text, where, 'the state of a simulated scene, as JSON');
}
