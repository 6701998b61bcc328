/** An action server over that of rclnodejs. */
import { messageOf } from '../../errors.js';
import type { RosMessage } from '../messages/cdr.js';
import { containActionServer } from './hooks.js';

import type { RclActionClass, RclMessage, RclServerGoal } from './library.js';
import { outgoing } from './nativeMessages.js';
import { asked, onceDisposable, type NodeParts } from './nodeParts.js';
import { rehearse } from './rehearse.js';
import type { ActionServerHandlers, Disposable, ServedGoal } from './ros.js';

/** s that a server keeps the result of an ended goal for a client that has not asked yet. */
const RESULT_KEPT = 60;
/** ms that a server stays for the clients of goals it gave up, who ask for the result only then. */
const CLOSING_MS = 500;
export const hex = (uuid: Uint8Array): string => Buffer.from(uuid).toString('hex');

export function makeActionServer(
  parts: NodeParts,
  type: string,
  name: string,
  handlers: ActionServerHandlers,
): Disposable {
  const { rcl, node, containment } = parts;
  const what = `action ${name}`;
  const served = new Map<string, ServedGoal>();
  let closing = false;

  const accept = (request: RosMessage): number => {
    let refusal: string | null;
    try {
      refusal = closing ? 'the server is closing' : handlers.accept(request);
    } catch (error) {
      containment.failed(what, error);
      refusal = messageOf(error);
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
  containment.run(`rehearsal of ${what}`, () => rehearse(rcl, type));
  const destroy = (): void => containment.run(`end of ${what}`, () => server.destroy());
  return onceDisposable(() => {
    closing = true;
    const open = [...served.values()];
    for (const goal of open) goal.abort({});
    if (open.length > 0) setTimeout(destroy, CLOSING_MS).unref();
    else destroy();
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
