import type { Project } from "../docker/command.ts";
import type { Path, Source } from "../docker/source.ts";
import { neighbourOf } from "../kernel/neighbour.ts";
import { parseSets } from "../kernel/netfilter/ipset-text.ts";
import { parseRules } from "../kernel/netfilter/rule-text.ts";
import type { Sysctls } from "../kernel/sysctl.ts";
import { Bridge } from "../link/bridge.ts";
import { FallbackTunnel } from "../link/fallback-tunnel.ts";
import type { ImpairmentOptions } from "../link/impairment.ts";
import { Veth } from "../link/veth.ts";
import { parseAllowance } from "../translator/guarded-host.ts";
import type { HostSockets } from "../translator/host-sockets.ts";
import type { ProxyOptions } from "../translator/http-proxy.ts";
import { PRESETS, type PresetName } from "../translator/preset.ts";
import { parsePublishedPort } from "../translator/published-ports.ts";
import { parseInterface, parseIpv4, parseMac } from "../wire/address.ts";
import { InputError } from "../wire/input-error.ts";
import { type EndOptions, type Host, World } from "../world/world.ts";
import type { DeviceSpec, ImpairmentSpec, NamespaceSpec, ScenarioSpec, TranslatorSpec } from "./format.ts";
import { parseEndpoint, parseForward } from "./gateway-forward.ts";
import { addFdb, splitEnd } from "./lab-world.ts";
import { parseChance, parseDuration } from "./quantity.ts";
import { addPolicy, addRoute, parsePolicy, parseRoute } from "./routing.ts";

/** The YAML text of a scenario, and the files that it names, by their paths as written. */
export interface Material {
  readonly source: Source;
  readonly spec: ScenarioSpec;
  readonly files: ReadonlyMap<string, { readonly path: string; readonly text: string }>;
  /** What `docker:` asks for, that of a scenario that this one extends first. */
  readonly docker: Project;
}

/** Runs what may refuse its input; the refusal becomes an error about the value at `path`. */
export function attempt<T>(source: Source, path: Path, expected: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof RangeError) throw source.error(path, `${expected} (${error.message})`);
    throw error;
  }
}

/** What is not as the scenario has it. */
export interface Instead {
  /** What all translators behave like, at the addresses that they have. */
  readonly preset?: PresetName | undefined;
  /** The sockets of its recorded translator. */
  readonly sockets?: HostSockets | undefined;
  /** Told where its guests may not go. */
  readonly refused?: ((reason: string) => void) | undefined;
}

/** The namespaces, devices, addresses, routes and rules of a scenario. @throws {InputError}. */
export function buildNetwork(material: Material, seed: number, instead: Instead = {}): World {
  return new Builder(material, new World(seed), instead).build();
}

class Builder {
  private readonly source: Source;
  private readonly spec: ScenarioSpec;

  constructor(
    private readonly material: Material,
    private readonly world: World,
    private readonly instead: Instead,
  ) {
    this.source = material.source;
    this.spec = material.spec;
  }

  build(): World {
    const namespaces = Object.entries(this.spec.namespaces);
    for (const [name] of namespaces) this.world.addNamespace(name);
    for (const [name, { env = {}, files = {}, processes = [] }] of namespaces) {
      const host = this.world.host(name);
      Object.assign(host.env, env);
      for (const [path, text] of Object.entries(files)) host.files.set(path, text);
      for (const { parent = null, name: called = null, user = "root", ...given } of processes)
        host.processes.add({ ...given, parent, name: called, user });
    }
    for (const [name, spec] of namespaces) this.addDevices(name, spec);
    for (const [name, spec] of Object.entries(this.spec.translators ?? {})) this.addTranslator(name, spec);
    this.addLinks();
    for (const [name, spec] of namespaces) {
      const path = ["namespaces", name, "sysctls"];
      applySysctls(this.source, path, this.world.host(name), spec.sysctls ?? {});
    }
    for (const [name, spec] of namespaces) this.raiseDevices(name, spec);
    for (const [name, spec] of namespaces) this.addLayer3(name, spec);
    for (const [name, spec] of Object.entries(this.spec.translators ?? {})) this.publish(name, spec);
    for (const [name, spec] of namespaces) {
      const { net } = this.world.host(name);
      if (spec.ipsets !== undefined) {
        const path = ["namespaces", name, "ipsets"];
        net.sets = readInside(this.source, path, spec.ipsets, parseSets);
      }
      const tables = readRules(this.material, ["namespaces", name], spec);
      if (tables !== null) net.netfilter.load(tables);
    }
    return this.world;
  }

  /** Bridges and dummies; the ends of links come with their links. */
  private addDevices(name: string, { devices = {} }: NamespaceSpec): void {
    for (const [device, spec] of Object.entries(devices)) {
      const path = ["namespaces", name, "devices", device];
      if (device === "lo") throw this.source.error(path, "a device other than lo, which every namespace has", "key");
      const end = this.end(name, device);
      if (spec.type === "bridge")
        this.world.addBridge(end, spec.ageing === undefined ? undefined : parseDuration(spec.ageing));
      else if (spec.type === "dummy") this.world.addDummy(end);
      else if (spec.type !== undefined) this.world.addTunnel(end, spec.type);
    }
  }

  private addTranslator(name: string, spec: TranslatorSpec): void {
    const { source, world } = this;
    const path: Path = ["translators", name];
    hostAt(source, [...path, "host"], world, spec.host);
    if (world.hosts.has(name)) throw source.error(path, "a name that no namespace has", "key");
    const forwards = (spec.forwards ?? []).map((text, i) =>
      attempt(source, [...path, "forwards", i], "a forwarded port", () => parseForward(text)),
    );
    const allow = spec.allow?.map((text, i) =>
      attempt(source, [...path, "allow", i], "destinations", () => parseAllowance(text)),
    );
    const { preset = spec.preset, sockets, refused } = this.instead;
    const recorded = sockets !== undefined && name === this.spec.recording?.translator;
    world.addTranslator(name, {
      host: spec.host,
      ...(recorded ? { sockets } : {}),
      ...(refused === undefined ? {} : { refused }),
      ...(allow === undefined ? {} : { allow }),
      behaviour: PRESETS[preset].behaviour,
      addresses: PRESETS[spec.preset].addresses,
      forwards,
      searchDomains: spec.search ?? [],
      ...(spec.proxy === undefined ? {} : { proxy: this.proxyOf(spec.proxy, [...path, "proxy"]) }),
      bootFile: spec.boot ?? null,
    });
  }

  private proxyOf(spec: NonNullable<TranslatorSpec["proxy"]>, path: Path): ProxyOptions {
    const end = (key: "http" | "https") => {
      const text = spec[key];
      if (text === undefined) return null;
      return attempt(this.source, [...path, key], "an address and a port", () => parseEndpoint(text));
    };
    return { http: end("http"), https: end("https"), exclude: spec.exclude ?? [], allow: spec.allow ?? null };
  }

  /** Ports of hosts that lead into guests; addresses are there now to listen on. */
  private publish(name: string, { publish = [] }: TranslatorSpec): void {
    for (const [i, text] of publish.entries()) {
      const path: Path = ["translators", name, "publish", i];
      const port = attempt(this.source, path, "a published port", () => parsePublishedPort(text));
      const [guest] = this.world.translators.get(name)!.guests;
      if (guest === undefined) throw this.source.error(path, "a port of a translator with a guest");
      const refused = guest.published.add(port);
      if (refused !== null) throw this.source.error(path, `a port that its host can listen on (${refused})`);
    }
  }

  private end(namespace: string, device: string): EndOptions {
    const spec = this.spec.namespaces[namespace]?.devices?.[device];
    return {
      namespace,
      device,
      mac: spec?.mac === undefined ? undefined : parseMac(spec.mac),
      mtu: spec?.mtu,
      ifindex: spec?.ifindex,
      queueLength: spec?.txqueuelen,
    };
  }

  private addLinks(): void {
    for (const [i, { ends, ...impairment }] of (this.spec.links ?? []).entries()) {
      const [left, right] = ends.map((text, side) => this.freeEnd(text, ["links", i, "ends", side]));
      if (ends[0] === ends[1]) throw this.source.error(["links", i, "ends", 1], "another end than the first");
      const cable = attempt(this.source, ["links", i, "ends"], "a guest that its translator has an address for", () =>
        this.world.addCable(left!, right!),
      );
      for (const device of cable) impair(this.world, device, impairment);
    }
    for (const [name, { devices = {} }] of Object.entries(this.spec.namespaces))
      for (const [device, { type }] of Object.entries(devices))
        if (type === undefined && this.world.host(name).net.device(device) === null)
          throw this.source.error(
            ["namespaces", name, "devices", device],
            "a device with a type, or the end of a link",
            "key",
          );
  }

  private freeEnd(text: string, path: Path): EndOptions {
    const [name, device] = splitEnd(text);
    if (!this.world.translators.has(name)) hostAt(this.source, path, this.world, name);
    if (this.world.findDevice(name, device) !== null) throw this.source.error(path, "a device that nothing else made");
    return this.end(name, device);
  }

  /** Into their bridges, and up. */
  private raiseDevices(name: string, { devices = {} }: NamespaceSpec): void {
    const { net } = this.world.host(name);
    for (const { device } of net.inDevices.values()) {
      if (device === net.loopback.device) continue;
      const spec: DeviceSpec = devices[device.name] ?? {};
      const path = ["namespaces", name, "devices", device.name];
      if (spec.master !== undefined) {
        const bridge = net.device(spec.master);
        if (!(bridge instanceof Bridge) || bridge === device)
          throw this.source.error([...path, "master"], `a bridge of ${name}`);
        bridge.attach(device, { hairpin: spec.hairpin ?? false, isolated: spec.isolated ?? false });
      } else
        for (const key of ["hairpin", "isolated"] as const)
          if (spec[key] !== undefined)
            throw this.source.error(
              [...path, key],
              "a device with a master, as only ports of a bridge have this",
              "key",
            );
      const tunnel = device instanceof FallbackTunnel;
      if (spec.up ?? !tunnel)
        attempt(this.source, [...path, ...(tunnel ? ["up"] : [])], "a device that can be up", () => device.setUp(true));
    }
  }

  private addLayer3(name: string, spec: NamespaceSpec): void {
    const { world, source } = this;
    const base = ["namespaces", name];
    for (const [device, { addresses = [] }] of Object.entries(spec.devices ?? {}))
      for (const [i, text] of addresses.entries())
        attempt(source, [...base, "devices", device, "addresses", i], "an address with its prefix length", () => {
          const [prefix = "", , broadcast] = text.split(" ");
          const { address, length } = parseInterface(prefix);
          const scope = address >>> 24 === 127 ? "host" : "global";
          world
            .host(name)
            .net.addAddress(
              world.inDevice(name, device),
              address,
              length,
              scope,
              broadcast === undefined ? undefined : 0,
            );
        });
    for (const [i, text] of (spec.routes ?? []).entries())
      attempt(source, [...base, "routes", i], "a route", () => addRoute(world, name, parseRoute(text)));
    for (const [i, text] of (spec.policy ?? []).entries())
      attempt(source, [...base, "policy", i], "a policy rule", () => addPolicy(world, name, parsePolicy(text)));
    for (const [i, text] of (spec.neighbours ?? []).entries())
      attempt(source, [...base, "neighbours", i], "ADDRESS lladdr MAC dev DEVICE", () => {
        const [, address = "", mac = "", device = ""] = /^(\S+) +lladdr +(\S+) +dev +(\S+)$/.exec(text) ?? [];
        const { high, low } = parseMac(mac);
        neighbourOf(world.inDevice(name, device), parseIpv4(address)).fix(high, low);
      });
    for (const [i, text] of (spec.fdb ?? []).entries())
      attempt(source, [...base, "fdb", i], "MAC dev PORT", () => {
        const [, mac = "", device = ""] = /^(\S+) +dev +(\S+)$/.exec(text) ?? [];
        addFdb(world, name, device, mac);
      });
  }
}

/** @throws {InputError} for a namespace that does not exist. */
export function hostAt(source: Source, path: Path, world: World, name: string): Host {
  const host = world.hosts.get(name);
  if (host === undefined)
    throw source.error(path, `a namespace of this scenario (${[...world.hosts.keys()].join(", ")})`);
  return host;
}

/** @throws {InputError} for a device that does not exist. */
export function deviceAt(source: Source, path: Path, world: World, text: string) {
  const [name, deviceName] = splitEnd(text);
  const device = world.findDevice(name, deviceName);
  if (device !== null) return device;
  const { net } = hostAt(source, path, world, name);
  const known = [...net.inDevices.values()].map((one) => `${name}/${one.device.name}`);
  throw source.error(path, `a device of ${name} (${known.join(", ")})`);
}

/** The end of a cable. @throws {InputError}. */
export function vethAt(source: Source, path: Path, world: World, text: string): Veth {
  const device = deviceAt(source, path, world, text);
  if (device instanceof Veth) return device;
  throw source.error(path, "the end of a link");
}

export function impair(world: World, device: Veth, spec: ImpairmentSpec): void {
  const options = impairmentOptions(spec);
  world.impair(device, Object.keys(options).length === 0 ? null : options);
}

function impairmentOptions(spec: ImpairmentSpec): ImpairmentOptions {
  const options: { -readonly [K in keyof ImpairmentOptions]: number } = {};
  for (const key of ["delay", "jitter"] as const) if (spec[key] !== undefined) options[key] = parseDuration(spec[key]);
  for (const key of ["loss", "duplicate", "reorder", "corrupt"] as const)
    if (spec[key] !== undefined) options[key] = parseChance(spec[key]);
  return options;
}

/**
 * `sysctl -w` for each; `into` may be a scratch copy, to check without changing anything.
 * @throws {InputError} for a setting that hopscope does not model, or of a device that does not exist.
 */
export function applySysctls(
  source: Source,
  path: Path,
  host: Host,
  values: Readonly<Record<string, string | number>>,
  into: Sysctls = host.net.sysctls,
): void {
  for (const [key, value] of Object.entries(values)) {
    const [, device] = /^net\.ipv4\.(?:conf|neigh)\.(.+)\.[a-z0-9_]+$/.exec(key) ?? [];
    if (device !== undefined && device !== "all" && device !== "default" && host.net.device(device) === null)
      throw source.error([...path, key], `a sysctl of a device of ${host.net.name}`, "key");
    try {
      into.set(key, value);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw error.message.startsWith("hopscope")
        ? source.error([...path, key], "a sysctl that hopscope models", "key")
        : source.error([...path, key], `a value of this sysctl (${error.message})`);
    }
  }
}

/** The rules of a namespace or a step, from its text or its file; null where it has none. @throws {InputError}. */
export function readRules(
  { source, files }: Material,
  path: Path,
  spec: { readonly rules?: string | undefined; readonly rules_file?: string | undefined },
) {
  if (spec.rules !== undefined && spec.rules_file !== undefined)
    throw source.error([...path, "rules_file"], "rules or rules_file, not both", "key");
  if (spec.rules !== undefined) {
    const at = [...path, "rules"];
    const tables = readInside(source, at, spec.rules, parseRules);
    for (const { chains } of tables)
      for (const { rules } of chains.values())
        for (const rule of rules)
          rule.notices = rule.notices.map(({ text, place }) => ({
            text,
            place: source.placeInside(at, place.line, place.column),
          }));
    return tables;
  }
  if (spec.rules_file === undefined) return null;
  const file = files.get(spec.rules_file)!;
  return parseRules(file.text, file.path);
}

/** Reads a text that has a reader of its own, whose errors then point into the scenario. */
function readInside<T>(source: Source, path: Path, text: string, read: (text: string, file: string) => T): T {
  try {
    return read(text, source.file);
  } catch (error) {
    throw error instanceof InputError ? source.inside(path, error) : error;
  }
}
