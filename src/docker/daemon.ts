import type { Random } from "../sim/random.ts";
import type { Ipv4, Prefix } from "../wire/address.ts";
import type { Firewall } from "./bridge-rules.ts";
import { type Command, type ContainerSpec, missingExternal, refuse, type Word } from "./command.ts";
import { tellNames } from "./container-names.ts";
import type { Engine } from "./engine.ts";
import { firewallOf } from "./firewall.ts";
import { hexadecimal } from "./identity.ts";
import { findImage, type Image, type Images } from "./image.ts";
import type { DaemonOptions, DockerHost, Process } from "./model.ts";
import { Networks } from "./networks.ts";
import type { Operation, TranslatorPort } from "./operation.ts";
import type { PlanStep } from "./plan.ts";
import { PortAllocator } from "./ports.ts";
import type { ContainerRecord, NetworkRecord } from "./record.ts";
import { type RuleChange, RuleSet, undone } from "./rule-change.ts";
import { Sandbox } from "./sandbox.ts";

/** What dockerd finds on its host. */
export interface HostFacts {
  readonly namespace: string;
  /** `net.ipv4.ip_forward` is 1 before dockerd starts. */
  readonly forwarding: boolean;
  /** Networks that are on a link of the host. */
  readonly networks: readonly Prefix[];
  readonly hostsFile: string;
  readonly resolvConf: string;
  /** Devices that it may stand others on. */
  readonly devices: ReadonlySet<string>;
  /** Names of namespaces that are taken. */
  readonly names: ReadonlySet<string>;
  /** Docker Desktop: the translator that dockerd's virtual machine is plugged into; null elsewhere. */
  readonly desktop: Desktop | null;
}

export interface Desktop {
  /** Where ports are published, for they are to be the host's. */
  readonly port: TranslatorPort;
  /** What `host-gateway` stands for (`--host-gateway-ip`). */
  readonly hostAddress: Ipv4 | null;
}

export interface DaemonSettings {
  /** dockerd's own words. */
  readonly command: string;
  readonly images: Images;
  readonly engine: Engine;
  readonly options: DaemonOptions;
  readonly random: Random;
  readonly host: HostFacts;
}

/** What dockerd knows, and the steps that each command makes it take. */
export class Daemon implements DockerHost {
  readonly engine: Engine;
  readonly options: DaemonOptions;
  readonly namespace: string;
  readonly networks = new Map<string, NetworkRecord>();
  readonly containers = new Map<string, ContainerRecord>();
  readonly processes: Process[] = [];
  readonly random: Random;
  readonly host: HostFacts;
  readonly images: Images;
  readonly command: string;
  readonly ports = new PortAllocator();
  readonly firewall: Firewall;
  /** What was asked for that has no effect here. */
  readonly notices: Word[] = [];
  /** Virtual nanoseconds. */
  now = 0;
  private readonly maker = new Networks(this);
  private readonly rules = new RuleSet();
  private readonly namespaces = new Set<string>();
  private pid = 1200;
  private steps: PlanStep[] = [];

  constructor({ engine, options, random, host, images, command }: DaemonSettings) {
    this.command = command;
    this.images = images;
    this.engine = engine;
    this.options = options;
    this.namespace = host.namespace;
    this.random = random;
    this.host = host;
    this.firewall = firewallOf(engine.rules, { family: 4, userlandProxy: options.userlandProxy });
  }

  /** What was planned since the last call. */
  takeSteps(): PlanStep[] {
    for (const container of this.containers.values()) if (container.resolver !== null) tellNames(this, container);
    const { steps } = this;
    this.steps = [];
    return steps;
  }

  step(title: string, operations: readonly Operation[]): void {
    if (operations.length > 0) this.steps.push({ title, operations });
  }

  /** The operations of rules that are not there yet. */
  program(changes: readonly RuleChange[], made: RuleChange[] = []): Operation[] {
    const effective = changes.flatMap((change) => {
      const done = this.rules.apply(change);
      if (done.length > 0) made.push(change);
      return done;
    });
    return effective.map((change) => ({ kind: "rules", namespace: this.namespace, change }));
  }

  withdraw(made: RuleChange[]): Operation[] {
    return this.program(made.splice(0).flatMap((change) => undone(change) ?? []));
  }

  nextPid(): number {
    this.pid += 1 + this.random.fork(`pid/${this.pid}`).below(20);
    return this.pid;
  }

  /** What dockerd does when it starts. */
  start(): void {
    const { engine, namespace, host, options } = this;
    const operations: Operation[] = [];
    const sysctl = (key: string, value: number) => operations.push({ kind: "sysctl", namespace, key, value });
    if (!host.forwarding) {
      sysctl("net.ipv4.ip_forward", 1);
      operations.push(...this.program([{ kind: "policy", table: "filter", chain: "FORWARD", policy: "DROP" }]));
    }
    const seen = engine.bridgeNetfilter || !options.userlandProxy || !options.icc;
    sysctl("net.bridge.bridge-nf-call-iptables", seen ? 1 : 0);
    this.step(`dockerd ${engine.version} starts`, operations);
    this.step("dockerd's own chains", this.program([...this.firewall.start(), ...this.firewall.userChain()]));
    for (const [name, driver] of [
      ["none", "null"],
      ["host", "host"],
    ] as const)
      this.maker.add(name, driver, null, null);
    this.maker.createDefault();
  }

  execute(command: Command): void {
    switch (command.kind) {
      case "network-create":
        this.maker.create(command.network);
        return;
      case "network-external":
        if (!this.networks.has(command.network.text))
          throw refuse(
            command.network,
            `a network that is there (${[...this.networks.keys()].join(", ")}), or none that is external`,
            missingExternal(command.network),
            404,
          );
        return;
      case "network-remove":
        for (const word of command.networks) this.maker.remove(word);
        return;
      case "create":
        this.createContainer(command.container);
        if (command.start) this.sandbox(command.container.name).start();
        return;
      case "connect":
        this.sandbox(command.container).connect(command.attachment);
        return;
      case "disconnect":
        this.sandbox(command.container).disconnect(this.networkOf(command.network), command.network);
        return;
      case "start":
      case "stop":
      case "remove":
        for (const word of command.containers) this.sandbox(word)[command.kind]();
        return;
      case "restart":
        for (const word of command.containers) {
          this.sandbox(word).stop();
          this.sandbox(word).start();
        }
        return;
      case "pull":
        // Images change nothing of a network.
        return;
    }
  }

  // Networks.

  /** A network by its name or the beginning of its ID. @throws {InputError} */
  networkOf(word: Word): NetworkRecord {
    const known = this.networks.get(word.text) ?? find(this.networks.values(), word.text);
    if (known !== undefined) return known;
    const names = [...this.networks.keys()].join(", ");
    throw refuse(word, `a network (${names})`, `network ${word.text} not found`, 404);
  }

  // Containers.

  /** A container by its name or the beginning of its ID. @throws {InputError} */
  containerOf(word: Word): ContainerRecord {
    const known = this.containers.get(word.text) ?? find(this.containers.values(), word.text);
    if (known !== undefined) return known;
    const names = [...this.containers.keys()].join(", ");
    throw refuse(word, `a container (${names})`, `No such container: ${word.text}`, 404);
  }

  private sandbox(word: Word): Sandbox {
    return new Sandbox(this, this.containerOf(word));
  }

  private createContainer(spec: ContainerSpec): void {
    const { name, networking } = spec;
    const other = this.containers.get(name.text);
    if (other !== undefined)
      throw refuse(
        name,
        "a name that is free",
        `Conflict. The container name "/${name.text}" is already in use by container "${other.id}". You have to remove (or rename) that container to be able to reuse that name.`,
        409,
      );
    const id = hexadecimal(this.random.fork(`container/${name.text}`), 64);
    const shared = networking.kind === "container" ? this.containerOf(networking.container) : null;
    const namespace = networking.kind === "host" ? this.namespace : (shared?.namespace ?? this.freeNamespace(spec));
    const networkMode =
      networking.kind === "networks"
        ? (networking.attachments[0]?.network.text ?? "bridge")
        : networking.kind === "container"
          ? `container:${shared!.id}`
          : networking.kind;
    const image = findImage(spec.image, this.images);
    this.containers.set(name.text, {
      name: name.text,
      id,
      hostname: spec.hostname ?? (networking.kind === "host" ? this.namespace : (shared?.hostname ?? id.slice(0, 12))),
      image: spec.image,
      imageId: hexadecimal(this.random.fork(`image/${spec.image}`), 64),
      sandboxId: hexadecimal(this.random.fork(`sandbox/${name.text}`), 64),
      // An entry point of the container's own leaves the image's command aside.
      entrypoint: spec.entrypoint ?? image.entrypoint,
      arguments: spec.command ?? (spec.entrypoint === null ? image.command : []),
      terminal: spec.terminal,
      created: this.now,
      started: null,
      finished: null,
      state: "created",
      namespace,
      networkMode,
      attachments: networking.kind === "networks" ? networking.attachments : [],
      endpoints: [],
      ports: [],
      exposed: [...new Set([...image.exposed, ...spec.exposed])],
      environment: merged(spec.environment, image.environment),
      labels: spec.labels,
      hostsFile: "",
      resolvConf: "",
      processes: [],
      shim: 0,
      spec,
      mapped: [],
      wanted: wantedPorts(spec, image),
      resolver: null,
      names: [],
    });
  }

  private freeNamespace({ shortName, name }: ContainerSpec): string {
    const taken = (text: string) => this.host.names.has(text) || this.namespaces.has(text) || text === this.namespace;
    const namespace = taken(shortName) ? name.text : shortName;
    if (taken(namespace)) throw refuse(name, `a name that no other namespace has`);
    this.namespaces.add(namespace);
    return namespace;
  }
}

/** By the beginning of an ID, where only one begins so. */
function find<T extends { readonly id: string }>(all: Iterable<T>, prefix: string): T | undefined {
  const found = [...all].filter(({ id }) => /^[0-9a-f]{4,}$/.test(prefix) && id.startsWith(prefix));
  return found.length === 1 ? found[0] : undefined;
}

/** What the container is given stands first (`merge()` of the daemon). */
const merged = (own: ReadonlyMap<string, string>, image: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...own, ...[...image].filter(([key]) => !own.has(key))]);

/** `-p` and, with `-P`, what is exposed. */
function wantedPorts({ ports, exposed, publishAll, name }: ContainerSpec, image: Image) {
  if (!publishAll) return ports;
  const published = new Set(ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`));
  const more = [...new Set([...image.exposed, ...exposed])]
    .filter((port) => !published.has(port))
    .map((port) => {
      const [number = "", protocol = "tcp"] = port.split("/");
      const base = { ...name, hostAddress: "", hostPort: null, containerPort: Number(number) };
      return { ...base, protocol: protocol as "tcp" | "udp" | "sctp" };
    });
  return [...ports, ...more];
}
