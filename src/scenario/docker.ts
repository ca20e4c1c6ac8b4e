import { apply, perform } from "../docker/apply.ts";
import { composeClient, dockerClient } from "../docker/client.ts";
import type { Command } from "../docker/command.ts";
import { parseDockerLine } from "../docker/command-line.ts";
import { containerd } from "../docker/containerd.ts";
import { Daemon, type Desktop, type HostFacts } from "../docker/daemon.ts";
import { DOCKER_SOCKET, dockerd } from "../docker/dockerd.ts";
import { DEFAULT_ENGINE, type Engine, findEngine } from "../docker/engine.ts";
import type { DaemonOptions } from "../docker/model.ts";
import type { Operation } from "../docker/operation.ts";
import { DEFAULT_OPTIONS } from "../docker/options.ts";
import type { Plan } from "../docker/plan.ts";
import { dockerdCommand } from "../docker/process-list.ts";
import { Processes } from "../docker/processes.ts";
import type { Path } from "../docker/source.ts";
import { BridgePort } from "../link/bridge.ts";
import { Veth } from "../link/veth.ts";
import type { Place } from "../program/command-line.ts";
import type { Program } from "../program/program.ts";
import type { ListenAt } from "../program/tcp-listener.ts";
import { maskOf, parseInterface, parseIpv4, parsePrefix } from "../wire/address.ts";
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
  /** The same daemon, to which the commands of all steps have been given: it refuses what will be wrong with them. */
  private readonly rehearsal: Daemon;
  private readonly processes: Processes;

  /** With `told`, what is to be built is not built yet: {@link compose} does it. @throws {InputError}; nothing is done to the world then. */
  constructor(
    private readonly material: Material,
    private readonly world: World,
    spec: DockerSpec,
    { engine, told = false }: { readonly engine: Engine; readonly told?: boolean },
  ) {
    const { source, docker } = material;
    this.processes = new Processes(world);
    const name = spec.in ?? DEFAULT_NAMESPACE;
    const host = hostAt(source, spec.in === undefined ? PATH : [...PATH, "in"], world, name);
    const random = world.fabric.random.fork("docker");
    const settings = {
      engine,
      options: this.options(spec),
      command: spec.command ?? dockerdCommand(engine),
      images: new Map(Object.entries(spec.images ?? {})),
      random,
      host: hostFacts(world, host),
    };
    const begin = (commands: readonly Command[]): Daemon => {
      const daemon = new Daemon(settings);
      daemon.start();
      for (const command of commands) daemon.execute(command);
      return daemon;
    };
    this.rehearsal = begin(docker.commands);
    this.daemon = begin(told ? [] : docker.commands);
    const steps = this.daemon.takeSteps();
    const notices = [...docker.notices, ...this.rehearsal.notices];
    this.plan = { namespace: name, steps: told ? this.rehearsal.takeSteps() : steps, notices };
    apply(steps, world, this.processes);
    this.serve(spec);
  }

  /** containerd and dockerd, which were there before anything that is told. */
  private serve({ env = {}, daemon = {} }: DockerSpec): void {
    const { namespace, host } = this.daemon;
    const act = (operation: Operation) => perform(operation, this.world, this.processes);
    this.processes.serve(namespace, containerd(namespace, act), {});
    const program = dockerd({
      daemon: this.daemon,
      listens: this.listens(daemon),
      registries: {
        mirrors: new Map([["docker.io", daemon["registry-mirrors"] ?? []]]),
        insecure: daemon["insecure-registries"] ?? [],
      },
      perform: act,
    });
    this.processes.serve(namespace, program, { ...env, ...proxiesOf(daemon) });
    const { unix } = this.world.host(namespace);
    const machine = host.desktop === null ? null : this.material.spec.translators![host.desktop.port.translator]!.host;
    if (machine !== null) this.world.host(machine).unix.mount(DOCKER_SOCKET, unix, DOCKER_SOCKET);
  }

  private listens({ hosts = [] }: NonNullable<DockerSpec["daemon"]>): ListenAt[] {
    const { source } = this.material;
    return hosts.flatMap((text, i): ListenAt[] => {
      const [, address, port] = /^tcp:\/\/([\d.]+):(\d+)$/.exec(text) ?? [];
      if (address === undefined) return [];
      const path = [...PATH, "daemon", "hosts", i];
      return [{ address: attempt(source, path, "an address", () => parseIpv4(address)), port: Number(port) }];
    });
  }

  /** All that is to be built, as Compose asks for it. */
  compose(): Program {
    return composeClient(this.material.docker.commands, this.daemon.engine);
  }

  /** The client of a later step; its containers' namespaces are there from the start. @throws {InputError} */
  command(text: string, path: Path): Program {
    const { command } = parseDockerLine(text, this.material.source.placeInside(path, 1, 1));
    this.rehearsal.execute(command);
    for (const { operations } of this.rehearsal.takeSteps())
      for (const operation of operations)
        if (operation.kind === "namespace" && !this.world.hosts.has(operation.name))
          this.world.addNamespace(operation.name);
    return dockerClient(command, this.daemon.engine);
  }

  /** The client for a person. @throws {InputError} */
  client(text: string, place: Place): Program {
    return dockerClient(parseDockerLine(text, place).command, this.daemon.engine);
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
      debug: daemon.debug ?? DEFAULT_OPTIONS.debug,
      proxyPath: daemon["userland-proxy-path"] ?? DEFAULT_OPTIONS.proxyPath,
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
}

/** `proxies` of daemon.json counts for more than the environment. */
function proxiesOf({ proxies = {} }: NonNullable<DockerSpec["daemon"]>): Record<string, string> {
  const named = {
    HTTP_PROXY: proxies["http-proxy"],
    HTTPS_PROXY: proxies["https-proxy"],
    NO_PROXY: proxies["no-proxy"],
  };
  return Object.fromEntries(
    Object.entries(named).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
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
    devices: new Set(
      [...net.inDevices.values()]
        .filter((each) => each !== net.loopback && !(each.device.receiver instanceof BridgePort))
        .map(({ device }) => device.name),
    ),
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
