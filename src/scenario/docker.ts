import { apply } from "../docker/apply.ts";
import { parseDockerLine } from "../docker/command-line.ts";
import { Daemon, type Desktop, type HostFacts } from "../docker/daemon.ts";
import { DEFAULT_ENGINE, type Engine, findEngine } from "../docker/engine.ts";
import type { DaemonOptions } from "../docker/model.ts";
import { DEFAULT_OPTIONS } from "../docker/options.ts";
import type { Plan, PlanStep } from "../docker/plan.ts";
import { Processes } from "../docker/processes.ts";
import type { Path } from "../docker/source.ts";
import { Veth } from "../link/veth.ts";
import type { Place } from "../program/command-line.ts";
import { maskOf, parseInterface, parsePrefix } from "../wire/address.ts";
import type { Host, World } from "../world/world.ts";
import type { DockerSpec } from "./format.ts";
import { attempt, hostAt, type Material } from "./network.ts";

const PATH: Path = ["docker"];
const DEFAULT_NAMESPACE = "host";

/** The engines that a scenario with Docker is about, its own first. @throws {InputError} for one that there is not. */
export function enginesOf({ source }: Material, { engine, also = [] }: DockerSpec): [Engine, ...Engine[]] {
  const find = (name: string | number, path: Path) =>
    attempt(source, [...PATH, ...path], "an engine", () => findEngine(String(name)));
  return [
    engine === undefined ? DEFAULT_ENGINE : find(engine, ["engine"]),
    ...also.map((name, i) => find(name, ["also", i])),
  ];
}

/** dockerd in one namespace of a scenario, with what its compose file or commands ask of it. */
export class ScenarioDocker {
  readonly daemon: Daemon;
  /** What is done before the scenario begins. */
  readonly plan: Plan;
  private readonly processes: Processes;

  /** @throws {InputError}; nothing is done to the world then. */
  constructor(
    private readonly material: Material,
    private readonly world: World,
    spec: DockerSpec,
    engine: Engine,
  ) {
    const { source } = material;
    this.processes = new Processes(world);
    const name = spec.in ?? DEFAULT_NAMESPACE;
    const host = hostAt(source, spec.in === undefined ? PATH : [...PATH, "in"], world, name);
    this.daemon = new Daemon({
      engine,
      options: this.options(spec),
      random: world.fabric.random.fork("docker"),
      host: hostFacts(world, host),
    });
    this.daemon.start();
    for (const command of material.docker.commands) this.daemon.execute(command);
    this.plan = {
      namespace: name,
      steps: this.daemon.takeSteps(),
      notices: [...material.docker.notices, ...this.daemon.notices],
    };
    this.apply(this.plan.steps);
  }

  private options({ daemon = {} }: DockerSpec): DaemonOptions {
    const { source } = this.material;
    const path = [...PATH, "daemon"];
    const { bip } = daemon;
    const pools = daemon["default-address-pools"]?.map(({ base, size }, i) =>
      attempt(source, [...path, "default-address-pools", i, "base"], "a prefix", () => ({
        base: parsePrefix(base),
        size,
      })),
    );
    return {
      ...DEFAULT_OPTIONS,
      userlandProxy: daemon["userland-proxy"] ?? DEFAULT_OPTIONS.userlandProxy,
      icc: daemon.icc ?? DEFAULT_OPTIONS.icc,
      pools: pools ?? DEFAULT_OPTIONS.pools,
      dns: daemon.dns ?? DEFAULT_OPTIONS.dns,
      publishAddress: daemon.ip ?? DEFAULT_OPTIONS.publishAddress,
      bridgeAddress:
        bip === undefined
          ? null
          : attempt(source, [...path, "bip"], "an address with its prefix length", () => parseInterface(bip)),
    };
  }

  /** What a command of a later step will do; its containers' namespaces are there from the start. */
  command(text: string, path: Path): () => void {
    return this.planned(text, this.material.source.placeInside(path, 1, 1));
  }

  /** A command of a person, at once. @throws {InputError}; nothing is done to the world then. */
  perform(text: string, place: Place): void {
    this.planned(text, place)();
  }

  private planned(text: string, place: Place): () => void {
    this.daemon.execute(parseDockerLine(text, place).command);
    const steps = this.daemon.takeSteps();
    for (const { operations } of steps)
      for (const operation of operations)
        if (operation.kind === "namespace" && !this.world.hosts.has(operation.name))
          this.world.addNamespace(operation.name);
    return () => this.apply(steps);
  }

  private apply(steps: readonly PlanStep[]): void {
    apply(steps, this.world, this.processes);
  }
}

function hostFacts(world: World, host: Host): HostFacts {
  const { net, files } = host;
  const networks = [...net.inDevices.values()]
    .filter((device) => device !== net.loopback)
    .flatMap(({ addresses }) => addresses)
    .map(({ address, length }) => ({ address: address & maskOf(length), length, mask: maskOf(length) }));
  return {
    namespace: net.name,
    forwarding: net.sysctls.effective("all", "forwarding") !== 0,
    networks,
    hostsFile: files.get("/etc/hosts") ?? "127.0.0.1\tlocalhost\n",
    resolvConf: files.get("/etc/resolv.conf") ?? "",
    names: new Set(world.hosts.keys()),
    desktop: findDesktop(world, net.name),
  };
}

/** The translator that this namespace is plugged into, where it publishes ports by a forwarder in the guest. */
function findDesktop(world: World, namespace: string): Desktop | null {
  for (const [translator, { guests, addresses, behaviour }] of world.translators)
    for (const { name, device } of guests)
      if (behaviour.publish === "forwarder" && device instanceof Veth && device.peer.namespace === namespace)
        return { port: { translator, guest: name }, hostAddress: addresses.host };
  return null;
}
