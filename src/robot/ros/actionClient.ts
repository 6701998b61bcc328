/** An action client over that of rclnodejs. */
import { RosError } from '../../errors.js';
import type { RosMessage } from '../messages/cdr.js';
import { hex } from './actionServer.js';
import { forgetFeedback } from './hooks.js';
import type { RclActionClass, RclClientGoal } from './library.js';
import { outgoing } from './nativeMessages.js';
import { asked, askedLater, onceDisposable, type NodeParts } from './nodeParts.js';
import { rehearse } from './rehearse.js';
import type { RosActionClient, SentGoal } from './ros.js';

/** ms that a server may take to answer a cancel request. */
const CANCEL_TIMEOUT_MS = 5000;
/** ms between two looks whether the server of a goal under way is still there. */
const WATCH_MS = 500;

type Ending = Awaited<SentGoal['result']>;

/** action_msgs/msg/GoalStatus */
const endings: Readonly<Record<number, Ending['status']>> = {
  4: 'succeeded',
  5: 'canceled',
  6: 'aborted',
};

export function makeActionClient(parts: NodeParts, type: string, name: string): RosActionClient {
  const { rcl, node, containment, fieldsOf } = parts;
  const what = `action ${name} (${type})`;
  const client = asked(what, () => new rcl.ActionClient(node, type, name));
  containment.run(`rehearsal of ${what}`, () => rehearse(rcl, type));
  const { Goal } = rcl.require(type) as RclActionClass;
  const open = new OpenGoals(
    containment.wrap(`watch of ${what}`, () => {
      if (!client.isActionServerAvailable()) open.giveUp();
    }),
  );

  const sent = (handle: RclClientGoal): SentGoal => ({
    id: hex(handle.goalId.uuid),
    result: new Promise((resolve) => {
      const end = open.add((result) => {
        forgetFeedback(client, handle.goalId.uuid);
        resolve({ status: endings[handle.status] ?? 'unknown', result });
      });
      containment.run(`result of ${what}`, async () => {
        try {
          end(await handle.getResult());
        } finally {
          end({});
        }
      });
    }),
    cancel: async () => {
      const answer = asked(`cancel of ${what}`, () => handle.cancelGoal());
      await within(answer, CANCEL_TIMEOUT_MS, `cancel of ${what}`);
    },
  });

  return {
    isReady: () => client.isActionServerAvailable(),
    send: async (goal, timeoutMs, onFeedback) => {
      const fields = Goal.ROSMessageDef.fields;
      const message = new Goal(outgoing(goal, fields, fieldsOf, what));
      const startedAt = performance.now();
      if (!(await askedLater(what, () => client.waitForServer(timeoutMs))))
        throw new RosError(`${what}: no server within ${timeoutMs} ms`);
      const left = Math.max(1, timeoutMs - (performance.now() - startedAt));
      const answer = asked(what, () =>
        client.sendGoal(
          message,
          onFeedback ? containment.wrap(`feedback of ${what}`, onFeedback) : undefined,
        ),
      );
      const handle = await within(answer, left, what).catch((error: unknown) => {
        // Accepted too late, it would run without anyone who knows of it.
        containment.run(`late goal of ${what}`, async () => {
          const late = await answer;
          if (late.isAccepted()) await late.cancelGoal();
        });
        throw error;
      });
      return handle.isAccepted() ? sent(handle) : null;
    },
    ...onceDisposable(() => {
      open.giveUp();
      client.destroy();
    }),
  };
}

/** Goals whose result has not come. Where their server goes, it never will: they end with status unknown. */
class OpenGoals {
  private readonly watch: () => void;
  private readonly ends = new Set<(result: RosMessage) => void>();
  private timer: NodeJS.Timeout | null = null;

  /** @param watch called twice a second while a goal is open. */
  constructor(watch: () => void) {
    this.watch = watch;
  }

  /** @returns what ends the goal; `ended` is called once. */
  add(ended: (result: RosMessage) => void): (result: RosMessage) => void {
    const end = (result: RosMessage): void => {
      if (!this.ends.delete(end)) return;
      if (this.ends.size === 0) this.rest();
      ended(result);
    };
    this.ends.add(end);
    this.timer ??= setInterval(this.watch, WATCH_MS).unref();
    return end;
  }

  giveUp(): void {
    for (const end of [...this.ends]) end({});
  }

  private rest(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
  }
}

/** @throws RosError where `answer` does not come in time. */
async function within<T>(answer: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new RosError(`${what}: no answer within ${Math.round(timeoutMs)} ms`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
