import { parseIpv4, parseMac, parsePrefix } from "../wire/address.ts";
import {
  type AttachmentSpec,
  type Bind,
  type Command,
  type ContainerNetworking,
  type ContainerSpec,
  type NetworkSpec,
  type PortSpec,
  type Project,
  parseBind,
  parseExtraHost,
  parsePort,
  readWord,
  refuse,
  type Word,
} from "./command.ts";
import { COMPOSE, type ComposeFile, type ComposeNetwork, type ComposeService } from "./compose-schema.ts";
import { commandWords } from "./image.ts";
import { interpolate, type Variables } from "./interpolation.ts";
import type { Path, Source } from "./source.ts";

export interface ComposeOptions {
  /** The project's name where the file gives none: that of its folder. */
  readonly project: string;
  readonly variables?: Variables;
  /** Of services with profiles, only those with one of these come up. */
  readonly profiles?: readonly string[];
}

/**
 * Reads a compose file. What is not about networking is left aside; what is, and is not supported, becomes a notice.
 * @throws {InputError} for what Compose would refuse.
 */
export function parseCompose(source: Source, options: ComposeOptions): Project {
  const file = source.read(COMPOSE, interpolate(source, source.value, options.variables ?? {}));
  return new ComposeReader(source, file, options).read();
}

/** Keys about networking that are not supported, by the place where they may stand. */
const UNSUPPORTED = {
  file: ["include"],
  service: ["links", "external_links", "extends", "use_api_socket", "net"],
  attachment: ["ipv6_address", "link_local_ips", "interface_name", "driver_opts"],
  network: ["enable_ipv6"],
} as const;
const VERSION = "2.40.0";

class ComposeReader {
  private readonly notices: Word[] = [];
  private readonly project: string;

  constructor(
    private readonly source: Source,
    private readonly file: ComposeFile,
    private readonly options: ComposeOptions,
  ) {
    this.project = projectName(file.name ?? options.project);
  }

  read(): Project {
    this.notice([], UNSUPPORTED.file);
    const names = this.inOrder();
    const used = new Set(names.flatMap((name) => this.networkKeys(name)));
    const declared = Object.keys(this.file.networks ?? {});
    const commands: Command[] = [];
    for (const key of new Set([...declared, ...used])) if (used.has(key)) commands.push(...this.createNetwork(key));
    for (const name of names)
      for (let number = 1; number <= this.scaleOf(name); number++)
        commands.push({ kind: "create", container: this.container(name, number), start: true });
    return { commands, notices: this.notices };
  }

  private notice(path: Path, keys: readonly string[]): void {
    const value = at(this.file, path);
    if (value === null || typeof value !== "object") return;
    for (const key of keys) if (Object.hasOwn(value, key)) this.notices.push(this.source.word([...path, key], "key"));
  }

  private service(name: string): ComposeService {
    return this.file.services[name]!;
  }

  private active(name: string): boolean {
    const { profiles = [] } = this.service(name);
    return profiles.length === 0 || profiles.some((profile) => this.options.profiles?.includes(profile));
  }

  /** What others depend on comes first; otherwise as in the file. */
  private inOrder(): string[] {
    const done = new Set<string>();
    const visit = (name: string, way: readonly string[]): void => {
      if (done.has(name)) return;
      const path = ["services", name, "depends_on"];
      if (way.includes(name))
        throw this.source.error(path, "services that do not wait for each other (Docker: dependency cycle detected)");
      for (const [other, word] of this.dependencies(name)) {
        if (this.file.services[other] === undefined)
          throw refuse(
            word,
            "a service",
            `service "${name}" depends on undefined service "${other}": invalid compose project`,
          );
        visit(other, [...way, name]);
      }
      done.add(name);
    };
    for (const name of Object.keys(this.file.services)) if (this.active(name)) visit(name, []);
    return [...done];
  }

  private dependencies(name: string): [string, Word][] {
    const { depends_on = null, network_mode = "" } = this.service(name);
    const path = ["services", name, "depends_on"];
    const named = Array.isArray(depends_on)
      ? depends_on.map((other, i): [string, Word] => [other, this.source.word([...path, i])])
      : Object.keys(depends_on ?? {}).map((other): [string, Word] => [
          other,
          this.source.word([...path, other], "key"),
        ]);
    const [, shared] = /^service:(.+)$/.exec(network_mode) ?? [];
    if (shared === undefined) return named;
    return [...named, [shared, this.source.word(["services", name, "network_mode"])]];
  }

  private scaleOf(name: string): number {
    const { scale, deploy } = this.service(name);
    const count = Number(scale ?? deploy?.replicas ?? 1);
    return Number.isInteger(count) && count >= 0 && count <= 100 ? count : 1;
  }

  // Networks.

  private networkKeys(name: string): string[] {
    const { networks = null, network_mode } = this.service(name);
    if (network_mode !== undefined) return [];
    const keys = Array.isArray(networks) ? networks : Object.keys(networks ?? {});
    return keys.length === 0 ? ["default"] : keys;
  }

  private networkName(key: string): string {
    const spec = this.file.networks?.[key];
    const { external } = spec ?? {};
    if (typeof external === "object") return external.name ?? key;
    return spec?.name ?? (external === true || external === "true" ? key : `${this.project}_${key}`);
  }

  private createNetwork(key: string): Command[] {
    const { source } = this;
    const path: Path = ["networks", key];
    const spec: ComposeNetwork = this.file.networks?.[key] ?? {};
    this.notice(path, UNSUPPORTED.network);
    const { external = false } = spec;
    const declared = this.file.networks?.[key] !== undefined;
    const place = declared ? source.word(path, "key").place : source.place(["services"]);
    if (external !== false && external !== "false")
      return [{ kind: "network-external", network: { text: this.networkName(key), place } }];
    const labels = pairsOf(spec.labels);
    for (const [label, value] of [
      ["network", key],
      ["project", this.project],
      ["version", VERSION],
    ] as const)
      labels.set(`com.docker.compose.${label}`, value);
    const network: NetworkSpec = {
      name: { text: this.networkName(key), place },
      driver: spec.driver === undefined || spec.driver === "default" ? null : source.word([...path, "driver"]),
      ...this.ipam(path, spec),
      internal: isTrue(spec.internal),
      attachable: isTrue(spec.attachable),
      options: new Map(
        Object.entries(spec.driver_opts ?? {}).map(([option, value]) => [
          option,
          { ...source.word([...path, "driver_opts", option]), text: String(value) },
        ]),
      ),
      labels,
    };
    return [{ kind: "network-create", network }];
  }

  private ipam(path: Path, { ipam }: ComposeNetwork): Pick<NetworkSpec, "subnet" | "range" | "gateway" | "auxiliary"> {
    const configs = ipam?.config ?? [];
    const at = configs.findIndex(({ subnet = "" }) => !subnet.includes(":"));
    for (const [i, { subnet = "" }] of configs.entries())
      if (subnet.includes(":") || (i > at && at >= 0))
        this.notices.push(this.word([...path, "ipam", "config", i, "subnet"], subnet));
    const config = configs[at] ?? {};
    const inside = (key: "subnet" | "ip_range" | "gateway") => {
      const text = config[key];
      return text === undefined ? null : this.word([...path, "ipam", "config", at, key], text);
    };
    const [subnet, range, gateway] = [inside("subnet"), inside("ip_range"), inside("gateway")];
    const prefix = (word: Word | null) =>
      word === null ? null : { ...word, prefix: readWord(word, "a subnet such as 172.28.0.0/16", parsePrefix) };
    const auxiliary = Object.entries(config.aux_addresses ?? {}).map(([name, text]) => {
      const word = this.word([...path, "ipam", "config", at, "aux_addresses", name], text);
      return [name, readWord(word, "an IPv4 address", parseIpv4)] as const;
    });
    return {
      subnet: prefix(subnet),
      range: prefix(range),
      gateway: gateway === null ? null : { ...gateway, address: readWord(gateway, "an IPv4 address", parseIpv4) },
      auxiliary: new Map(auxiliary),
    };
  }

  /** A text as it is after interpolation, where it stands. */
  private word(path: Path, text: string): Word {
    return { text, place: this.source.word(path).place };
  }

  // Containers.

  private container(name: string, number: number): ContainerSpec {
    const service = this.service(name);
    const path: Path = ["services", name];
    const { source } = this;
    if (number === 1) this.notice(path, UNSUPPORTED.service);
    const own = service.container_name;
    const place = own === undefined ? source.word(path, "key").place : source.word([...path, "container_name"]).place;
    const scaled = this.scaleOf(name) > 1;
    const labels = pairsOf(service.labels);
    for (const [label, value] of [
      ["project", this.project],
      ["service", name],
      ["container-number", String(number)],
      ["oneoff", "False"],
      ["version", VERSION],
    ] as const)
      labels.set(`com.docker.compose.${label}`, value);
    const { stdin_open = false, tty = false } = service;
    const image = service.image ?? `${this.project}-${name}`;
    return {
      name: { text: own ?? `${this.project}-${name}-${number}`, place },
      shortName: own ?? (scaled ? `${name}-${number}` : name),
      hostname: service.hostname ?? null,
      image,
      entrypoint: wordsOf(service.entrypoint),
      command: wordsOf(service.command),
      host: {
        restart: service.restart ?? "no",
        privileged: isTrue(service.privileged),
        autoRemove: false,
      },
      terminal: { stdin: isTrue(stdin_open), tty: isTrue(tty), attached: true },
      networking: this.networking(name),
      ports: this.ports(name),
      exposed: (service.expose ?? []).map((port) => (String(port).includes("/") ? String(port) : `${port}/tcp`)),
      publishAll: false,
      environment: pairsOf(service.environment),
      labels,
      dns: listOf(service.dns),
      dnsSearch: listOf(service.dns_search),
      dnsOptions: listOf(service.dns_opt),
      extraHosts: this.items([...path, "extra_hosts"], service.extra_hosts, ":").map(parseExtraHost),
      sysctls: new Map(
        this.items([...path, "sysctls"], service.sysctls, "=").map((word) => {
          const [key = "", value = ""] = word.text.split("=");
          return [key, { ...word, text: value }];
        }),
      ),
      binds: bindsOf(service.volumes),
    };
  }

  /** Items of a list, or a map's as such items. */
  private items(path: Path, value: Pairs, by: string): Word[] {
    if (Array.isArray(value)) return value.map((item, i) => this.word([...path, i], String(item)));
    return Object.entries(value ?? {}).flatMap(([key, item]) =>
      (Array.isArray(item) ? item : [item]).map((one) => this.word([...path, key], `${key}${by}${one ?? ""}`)),
    );
  }

  private networking(name: string): ContainerNetworking {
    const { network_mode: mode, networks = null } = this.service(name);
    const path: Path = ["services", name];
    if (mode === undefined) return { kind: "networks", given: true, attachments: this.attachments(name) };
    const word = this.word([...path, "network_mode"], mode);
    if (networks !== null)
      throw refuse(
        word,
        "network_mode or networks, not both",
        `service ${name} declares mutually exclusive \`network_mode\` and \`networks\`: invalid compose project`,
      );
    if (mode === "host" || mode === "none") return { kind: mode };
    const [, kind, other = ""] = /^(service|container):(.+)$/.exec(mode) ?? [];
    if (kind === "container") return { kind, container: { ...word, text: other } };
    if (kind === "service") return { kind: "container", container: { ...word, text: this.containerOf(other) } };
    const plain = { aliases: [], address: null, mac: null, gatewayPriority: 0 };
    return { kind: "networks", given: true, attachments: [{ ...plain, network: word }] };
  }

  private containerOf(service: string): string {
    return this.service(service).container_name ?? `${this.project}-${service}-1`;
  }

  /** Those of a higher priority first, then by name (`NetworksByPriority()`). */
  private attachments(name: string): AttachmentSpec[] {
    const { networks = null, mac_address } = this.service(name);
    const path: Path = ["services", name, "networks"];
    const byPriority = this.networkKeys(name).map((key) => {
      const i = Array.isArray(networks) ? networks.indexOf(key) : -1;
      const word = i >= 0 ? this.source.word([...path, i]) : this.source.word([...path, key], "key");
      if (key !== "default" && this.file.networks?.[key] === undefined && !Object.hasOwn(this.file.networks ?? {}, key))
        throw refuse(
          { ...word, text: key },
          `a network of this file (${Object.keys(this.file.networks ?? {}).join(", ") || "there is none"})`,
          `service "${name}" refers to undefined network ${key}: invalid compose project`,
        );
      const spec = (Array.isArray(networks) ? null : networks?.[key]) ?? {};
      this.notice([...path, key], UNSUPPORTED.attachment);
      return { key, word, spec, priority: Number(spec.priority ?? 0) };
    });
    byPriority.sort((a, b) => b.priority - a.priority || (a.key < b.key ? -1 : 1));
    return byPriority.map(({ key, word, spec }, i) => {
      const mac = spec.mac_address ?? (i === 0 ? mac_address : undefined);
      const address = spec.ipv4_address;
      const inside = (field: string, text: string) => this.word([...path, key, field], text);
      return {
        network: { ...word, text: this.networkName(key) },
        aliases: [name, ...(spec.aliases ?? [])],
        address:
          address === undefined
            ? null
            : {
                ...inside("ipv4_address", address),
                address: readWord(inside("ipv4_address", address), "an IPv4 address", parseIpv4),
              },
        mac: mac === undefined ? null : readWord(inside("mac_address", mac), "a MAC address", parseMac),
        gatewayPriority: Number(spec.gw_priority ?? 0),
      };
    });
  }

  private ports(name: string): PortSpec[] {
    const path: Path = ["services", name, "ports"];
    return (this.service(name).ports ?? []).flatMap((port, i) => {
      if (typeof port !== "object") return parsePort(this.word([...path, i], String(port)));
      const { target, published = "", host_ip = "", protocol = "tcp" } = port;
      const address = host_ip.includes(":") ? `[${host_ip}]` : host_ip;
      const host = published === "" && address === "" ? "" : `${address === "" ? "" : `${address}:`}${published}:`;
      return parsePort({ text: `${host}${target}/${protocol}`, place: this.source.place([...path, i]) });
    });
  }
}

type Pairs = ComposeService["environment"] | Readonly<Record<string, unknown>>;

function pairsOf(value: Pairs): Map<string, string> {
  if (Array.isArray(value))
    return new Map(
      value.map((item) => {
        const text = String(item);
        const at = text.indexOf("=");
        return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
      }),
    );
  return new Map(Object.entries(value ?? {}).map(([key, item]) => [key, item === null ? "" : String(item)]));
}

/** The paths of the host among `volumes:`; whatever else stands there is none of networking. */
function bindsOf(volumes: unknown): Bind[] {
  return (Array.isArray(volumes) ? volumes : []).flatMap((volume: unknown) => {
    if (typeof volume === "string") return parseBind(volume) ?? [];
    const { type, source, target, read_only: readOnly = false } = (volume ?? {}) as Readonly<Record<string, unknown>>;
    if (type !== "bind" || typeof source !== "string" || typeof target !== "string") return [];
    return [{ source, target, readOnly: readOnly === true }];
  });
}

const listOf = (value: ComposeService["dns"]): string[] =>
  value === undefined || value === null ? [] : (Array.isArray(value) ? value : [value]).map(String);

function at(value: unknown, path: Path): unknown {
  let inside = value;
  for (const key of path) inside = (inside as Record<string | number, unknown> | null)?.[key];
  return inside;
}

/** Lower case, with letters, digits, `_` and `-` alone, as Compose makes it of a folder's name. */
const projectName = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, "")
    .replace(/^[_-]+/, "");

const isTrue = (value: boolean | "true" | "false" | undefined): boolean => value === true || value === "true";

/** A command as one text or as its words; null where there is none. */
function wordsOf(command: string | readonly (string | number | boolean)[] | null = null): string[] | null {
  if (command === null) return null;
  return typeof command === "string" ? commandWords(command) : command.map(String);
}
