/** Action servers and clients over those of rclnodejs. */
import { RosError } from '../../errors.js';
import type { RosMessage } from '../messages/cdr.js';
import { containActionServer, forgetFeedback } from './hooks.js';
import { reasonOf } from './contained.js';
import type { RclActionClass, RclClientGoal, RclMessage, RclServerGoal } from './library.js';
import { outgoing } from './nativeMessages.js';
import { asked, onceDisposable, type NodeParts } from './nodeParts.js';
import type {
  ActionServerHandlers,
  Disposable,
  RosActionClient,
  SentGoal,
  ServedGoal,
} from './ros.js';

/** s that a server keeps the result of an ended goal for a client that has not asked yet. */
const RESULT_KEPT = 60;
/** ms that a server may take to answer a cancel request. */
const CANCEL_TIMEOUT_MS = 5000;

/** action_msgs/msg/GoalStatus */
const endings: Readonly<Record<number, Awaited<SentGoal['result']>['status']>> = {
  4: 'succeeded',
  5: 'canceled',
  6: 'aborted',
};

const hex = (uuid: Uint8Array): string => Buffer.from(uuid).toString('hex');

export function makeActionServer(
  parts: NodeParts,
  type: string,
  name: string,
  handlers: ActionServerHandlers,
): Disposable {
  const { rcl, node, containment } = parts;
  const what = `action ${name}`;
  const served = new Map<string, ServedGoal>();

  const accept = (request: RosMessage): number => {
    let refusal: string | null;
    try {
      refusal = handlers.accept(request);
    } catch (error) {
      containment.failed(what, error);
      refusal = reasonOf(error);
    }
    if (refusal === null) return rcl.GoalResponse.ACCEPT;
    node.getLogger().warn(`${what}: goal refused: ${refusal}`);
    return rcl.GoalResponse.REJECT;
  };
  const execute = (handle: RclServerGoal): Promise<RclMessage> =>
    new Promise((resolve) => {
      const goal = serveGoal(parts, what, type, handle, (result) => {
        served.delete(goal.id);
        resolve(result);
      });
      served.set(goal.id, goal);
      try {
        handlers.execute(goal);
      } catch (error) {
        containment.failed(what, error);
        goal.abort({});
      }
    });
  const cancel = (handle: RclServerGoal): number => {
    // The goal is in state canceling only once this has returned, and may be ended as canceled only then.
    setImmediate(() => {
      const goal = served.get(hex(handle.goalId.uuid));
      if (goal) containment.run(`cancel of ${what}`, () => handlers.cancel(goal));
    });
    return rcl.CancelResponse.ACCEPT;
  };

  const server = asked(
    `${what} (${type})`,
    () =>
      new rcl.ActionServer(node, type, name, execute, accept, (goal) => goal.execute(), cancel, {
        resultTimeout: RESULT_KEPT,
      }),
  );
  containActionServer(server, name, containment);
  return onceDisposable(() => {
    for (const goal of served.values()) goal.abort({});
    server.destroy();
  });
}

function serveGoal(
  { rcl, containment, fieldsOf }: NodeParts,
  what: string,
  type: string,
  handle: RclServerGoal,
  ended: (result: RclMessage) => void,
): ServedGoal {
  const action = rcl.require(type) as RclActionClass;
  let open = true;
  const end = (state: 'succeed' | 'abort' | 'canceled', result: RosMessage): void => {
    if (!open) return;
    open = false;
    containment.run(`end of ${what}`, () => {
      // A goal that nobody asked to cancel cannot end as canceled.
      handle[state === 'canceled' && !handle.isCancelRequested ? 'abort' : state]();
    });
    let message = new action.Result();
    containment.run(`result of ${what}`, () => {
      message = new action.Result(
        outgoing(result, action.Result.ROSMessageDef.fields, fieldsOf, `${what} result`),
      );
    });
    ended(message);
  };
  return {
    id: hex(handle.goalId.uuid),
    request: handle.request.toPlainObject(true),
    get isCancelRequested() {
      return open && handle.isCancelRequested;
    },
    feedback: (message) => {
      // The library publishes feedback of executing goals only, and warns each time otherwise.
      if (!open || handle.isCancelRequested) return;
      containment.run(`feedback of ${what}`, () => {
        const { fields } = action.Feedback.ROSMessageDef;
        handle.publishFeedback(
          new action.Feedback(outgoing(message, fields, fieldsOf, `${what} feedback`)),
        );
      });
    },
    succeed: (result) => end('succeed', result),
    abort: (result) => end('abort', result),
    canceled: (result) => end('canceled', result),
  };
}

export function makeActionClient(parts: NodeParts, type: string, name: string): RosActionClient {
  const { rcl, node, containment, fieldsOf } = parts;
  const what = `action ${name} (${type})`;
  const client = asked(what, () => new rcl.ActionClient(node, type, name));
  const { Goal } = rcl.require(type) as RclActionClass;
  /** Goals under way, to be given up where the client is disposed of. */
  const open = new Set<() => void>();

  const sent = (handle: RclClientGoal): SentGoal => ({
    id: hex(handle.goalId.uuid),
    result: new Promise((resolve) => {
      const end = (result: RosMessage): void => {
        if (!open.delete(giveUp)) return;
        forgetFeedback(client, handle.goalId.uuid);
        resolve({ status: endings[handle.status] ?? 'unknown', result });
      };
      const giveUp = (): void => end({});
      open.add(giveUp);
      handle.getResult().then(end, (error: unknown) => {
        containment.failed(`result of ${what}`, error);
        giveUp();
      });
    }),
    cancel: async () => {
      await within(handle.cancelGoal(), CANCEL_TIMEOUT_MS, `cancel of ${what}`);
    },
  });

  return {
    isReady: () => client.isActionServerAvailable(),
    send: async (goal, timeoutMs, onFeedback) => {
      const fields = Goal.ROSMessageDef.fields;
      const message = new Goal(outgoing(goal, fields, fieldsOf, what));
      const startedAt = performance.now();
      if (!(await client.waitForServer(timeoutMs)))
        throw new RosError(`${what}: no server within ${timeoutMs} ms`);
      const left = Math.max(1, timeoutMs - (performance.now() - startedAt));
      const answer = client.sendGoal(
        message,
        onFeedback ? containment.wrap(`feedback of ${what}`, onFeedback) : undefined,
      );
      const handle = await within(answer, left, what).catch((error: unknown) => {
        // Accepted too late, it would run without anyone who knows of it.
        void answer.then((late) => (late.isAccepted() ? late.cancelGoal() : undefined));
        throw error;
      });
      return handle.isAccepted() ? sent(handle) : null;
    },
    ...onceDisposable(() => {
      for (const giveUp of [...open]) giveUp();
      client.destroy();
    }),
  };
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
