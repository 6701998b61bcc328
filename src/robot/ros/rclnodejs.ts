/** The only file that loads rclnodejs. */
import { fileURLToPath } from 'node:url';
import { RosError, messageOf } from '../../errors.js';
import { Containment } from './contained.js';
import { checkHooks, containedNodeClass, lifecycleNodeClass, stateMachineOf } from './hooks.js';
import { loadAddon, sourcedDistro } from './installation.js';
import type { RclAddon, RclContext, RclLibrary, RclNode, RclNodeClass } from './library.js';
import { Lifecycle, transitionFrom } from './lifecycle.js';
import { asked } from './nodeParts.js';
import { overridesFor, Parameters } from './parameters.js';
import { makeRosNode } from './rosNode.js';
import type {
  LifecycleHandlers,
  LifecycleState,
  Ros,
  RosLifecycle,
  RosNode,
  RosOptions,
} from './ros.js';

/** ms that one wait for messages takes at most: how fast a node notices that it should stop. */
const SPIN_TIMEOUT_MS = 10;
/** A variable, so that TypeScript looks for no types where the package is absent. */
const packageName: string = 'rclnodejs';

/**
 * Opens this process's ROS 2.
 *
 * @param args what follows the program's own arguments: `--ros-args -r __ns:=/left -p autostart:=true …`.
 * @throws RosError where ROS 2 is not sourced, rclnodejs is not installed, or the arguments are refused.
 */
export async function openRos(args: readonly string[]): Promise<Ros> {
  const distro = sourcedDistro(process.env);
  const addon = loadAddon(entryOfLibrary(), distro);
  const rcl = ((await import(packageName)) as { default: RclLibrary }).default;
  // Who drives an arm decides itself what Ctrl-C does: first rest, then exit.
  rcl.removeSignalHandlers();
  checkHooks(rcl, addon);
  const context = new rcl.Context();
  try {
    await rcl.init(context, ['magma-vla', ...args]);
  } catch (error) {
    throw new RosError(`ROS 2: ${messageOf(error)}`);
  }
  return new OpenRos(distro, rcl, addon, context);
}

/** Path of the library's main file; null where it is not installed. */
function entryOfLibrary(): string | null {
  try {
    return fileURLToPath(import.meta.resolve(packageName));
  } catch {
    return null;
  }
}

class OpenRos implements Ros {
  readonly distro: string;
  private readonly rcl: RclLibrary;
  private readonly addon: RclAddon;
  private readonly context: RclContext;
  private readonly nodes: RclNode[] = [];
  private stage: 'opened' | 'spinning' | 'shut down' = 'opened';

  constructor(distro: string, rcl: RclLibrary, addon: RclAddon, context: RclContext) {
    this.distro = distro;
    this.rcl = rcl;
    this.addon = addon;
    this.context = context;
  }

  node(options: RosOptions): RosNode {
    const containment = new Containment(console);
    const NodeClass = containedNodeClass(this.rcl.Node, containment, options.args ?? null);
    return this.dressed(this.make(NodeClass, options), containment);
  }

  lifecycleNode(
    options: RosOptions,
    handlers: (node: RosNode, state: () => LifecycleState) => LifecycleHandlers,
  ): { readonly node: RosNode; readonly lifecycle: RosLifecycle } {
    const containment = new Containment(console);
    let lifecycle: Lifecycle | null = null;
    const state = (): LifecycleState => lifecycle?.state ?? 'unconfigured';
    const NodeClass = lifecycleNodeClass(
      containedNodeClass(this.rcl.lifecycle.LifecycleNode, containment, options.args ?? null),
      containment,
      async (wanted) => {
        const transition = transitionFrom(wanted, state());
        if (!lifecycle || !transition) return false;
        return (await lifecycle.request(transition)) === null;
      },
    );
    const native = this.make(NodeClass, options);
    const node = this.dressed(native, containment);
    const machine = stateMachineOf(native, this.addon);
    lifecycle = new Lifecycle(machine, handlers(node, state), node.log);
    return { node, lifecycle };
  }

  spin(): void {
    if (this.stage !== 'opened') return;
    this.stage = 'spinning';
    for (const node of this.nodes) node.spin(SPIN_TIMEOUT_MS);
  }

  async shutdown(): Promise<void> {
    if (this.stage === 'shut down') return;
    const wasSpinning = this.stage === 'spinning';
    this.stage = 'shut down';
    if (wasSpinning) for (const node of this.nodes) node.stop();
    // What the last wake-up brought is handed out before anything is destroyed.
    await new Promise(setImmediate);
    asked('shutdown of ROS 2', () => {
      this.rcl.shutdown(this.context);
    });
  }

  private make(NodeClass: RclNodeClass, { name, namespace = '' }: RosOptions): RclNode {
    const node = asked(
      `node ${name}`,
      () => new NodeClass(name, namespace, this.context, { startParameterServices: false }),
    );
    this.nodes.push(node);
    if (this.stage === 'spinning') node.spin(SPIN_TIMEOUT_MS);
    return node;
  }

  private dressed(native: RclNode, containment: Containment): RosNode {
    containment.tell(native.getLogger());
    const given = this.addon.getParameterOverrides(this.context.handle) ?? [];
    const parameters = new Parameters(overridesFor(given, native.getFullyQualifiedName()));
    const node = makeRosNode(this.rcl, native, containment, parameters);
    node.declareParameter({
      name: 'use_sim_time',
      value: false,
      description: 'ROS time is what /clock says.',
      readOnly: true,
    });
    return node;
  }
}
