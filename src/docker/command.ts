import type { Ipv4, Mac, Prefix } from "../wire/address.ts";
import { InputError } from "../wire/input-error.ts";

/** A piece of the user's text and where it stands. */
export interface Word {
  readonly text: string;
  readonly place: InputError["place"];
}

/** What Docker will not do: why, as hopscope tells it, and what its API answers. */
export class Refusal extends InputError {
  constructor(
    word: Word,
    expected: string,
    /** Docker's own words. */
    readonly says: string,
    /** The status of its HTTP answer. */
    readonly status: number,
  ) {
    super(word.place, `"${word.text}"`, says === "" ? expected : `${expected} (Docker: ${says})`);
  }
}

/** An error about a word; `docker` is what Docker itself says, and with which HTTP status. */
export const refuse = (word: Word, expected: string, docker = "", status = 400): Refusal =>
  new Refusal(word, expected, docker, status);

/** What a compose file or a list of command lines asks of Docker, in order. */
export interface Project {
  readonly commands: readonly Command[];
  /** What is about networking and not supported, each with its line. */
  readonly notices: readonly Word[];
}

export type Command =
  | { readonly kind: "network-create"; readonly network: NetworkSpec }
  /** Compose looks for a network that it does not make. */
  | { readonly kind: "network-external"; readonly network: Word }
  | { readonly kind: "network-remove"; readonly networks: readonly Word[] }
  | { readonly kind: "connect"; readonly container: Word; readonly attachment: AttachmentSpec }
  | { readonly kind: "disconnect"; readonly container: Word; readonly network: Word }
  /** `docker create`, and with `start` `docker run`. */
  | { readonly kind: "create"; readonly container: ContainerSpec; readonly start: boolean }
  | {
      readonly kind: "start" | "stop" | "restart" | "remove";
      readonly containers: readonly Word[];
      /** The client stays until they end (`docker start -a`). */
      readonly attached?: true;
    }
  | { readonly kind: "pull"; readonly image: Word };

export interface NetworkSpec {
  readonly name: Word;
  readonly driver: Word | null;
  readonly subnet: (Word & { readonly prefix: Prefix }) | null;
  readonly range: (Word & { readonly prefix: Prefix }) | null;
  readonly gateway: (Word & { readonly address: Ipv4 }) | null;
  readonly auxiliary: ReadonlyMap<string, Ipv4>;
  readonly internal: boolean;
  readonly attachable: boolean;
  /** `-o KEY=VALUE`. */
  readonly options: ReadonlyMap<string, Word>;
  readonly labels: ReadonlyMap<string, string>;
}

/** Compose's words where `external: true` names a network that there is not. */
export const missingExternal = ({ text }: Word): string =>
  `network ${text} declared as external, but could not be found`;

/** How a container joins a network. */
export interface AttachmentSpec {
  readonly network: Word;
  readonly aliases: readonly string[];
  readonly address: (Word & { readonly address: Ipv4 }) | null;
  readonly mac: Mac | null;
  readonly gatewayPriority: number;
}

export type ContainerNetworking =
  /** `given`: not for want of another word. */
  | { readonly kind: "networks"; readonly given: boolean; readonly attachments: readonly AttachmentSpec[] }
  | { readonly kind: "host" | "none" }
  | { readonly kind: "container"; readonly container: Word };

/** `-i`, `-t`, and not `-d`. */
export interface Terminal {
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly attached: boolean;
}

/** What `docker inspect` tells beside networks. */
export interface HostOptions {
  /** `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:3`. */
  readonly restart: string;
  readonly privileged: boolean;
  readonly autoRemove: boolean;
}

export interface ContainerSpec {
  readonly name: Word;
  /** What its namespace is called, where that is free; else as the container. */
  readonly shortName: string;
  readonly hostname: string | null;
  readonly image: string;
  /** Null for the image's own. */
  readonly entrypoint: readonly string[] | null;
  /** Null for the image's own. */
  readonly command: readonly string[] | null;
  readonly terminal: Terminal;
  readonly host: HostOptions;
  readonly networking: ContainerNetworking;
  readonly ports: readonly PortSpec[];
  /** `80/tcp`. */
  readonly exposed: readonly string[];
  readonly publishAll: boolean;
  readonly environment: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  /** `NAME:ADDRESS`; an address may be `host-gateway`. */
  readonly extraHosts: readonly (Word & { readonly host: string; readonly address: string })[];
  readonly sysctls: ReadonlyMap<string, Word>;
  readonly binds: readonly Bind[];
}

/** A path of the host that a container sees at a path of its own; read-only or not makes no difference to a socket. */
export interface Bind {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** `SOURCE:TARGET[:ro]`; null for a volume, which is no path of the host. */
export function parseBind(text: string): Bind | null {
  const [, source, target, options = ""] = /^(\/[^:]*):(\/[^:]*)(?::(.*))?$/.exec(text) ?? [];
  if (source === undefined || target === undefined) return null;
  return { source, target, readOnly: options.split(",").includes("ro") };
}

/** A port to publish; ranges are taken apart already. */
export interface PortSpec extends Word {
  /** Empty for Docker's choice: every address. */
  readonly hostAddress: string;
  /** Null for a free one. */
  readonly hostPort: number | null;
  readonly containerPort: number;
  readonly protocol: "tcp" | "udp" | "sctp";
}

const PORT = String.raw`\d{1,5}`;
const SHORT = new RegExp(
  `^(?:(?:(\\[[0-9a-fA-F:.]*\\]|\\d+\\.\\d+\\.\\d+\\.\\d+):)?(?:(${PORT})(?:-(${PORT}))?)?:)?(${PORT})(?:-(${PORT}))?(?:/(tcp|udp|sctp))?$`,
);

/**
 * `[ADDRESS:][PORT|RANGE:]PORT|RANGE[/PROTOCOL]`, as `-p` and compose's short form take it.
 * @throws {InputError}
 */
export function parsePort(word: Word): PortSpec[] {
  const match = SHORT.exec(word.text);
  if (match === null) throw refuse(word, "a port to publish such as 8080:80, 127.0.0.1:8080:80 or 53:53/udp");
  const [, hostAddress = "", low, high = low, first, last = first, protocol = "tcp"] = match;
  const ports = [low, high, first, last].map((text) => (text === undefined ? null : Number(text)));
  if (ports.some((port) => port !== null && (port < 1 || port > 65_535))) throw refuse(word, "ports from 1 to 65535");
  const [hostLow, hostHigh, from, to] = ports as [number | null, number | null, number, number];
  const count = to - from;
  if (count < 0 || (hostLow !== null && hostHigh! < hostLow))
    throw refuse(word, "a range whose end is not before its start");
  if (hostLow !== null && hostHigh! - hostLow !== count && count !== 0)
    throw refuse(word, "two ranges of the same length", "invalid ranges specified for container and host Ports");
  const address = hostAddress.replace(/^\[|\]$/g, "");
  return Array.from({ length: count + 1 }, (_, i) => ({
    ...word,
    hostAddress: address,
    hostPort: hostLow === null ? null : hostLow + i,
    containerPort: from + i,
    protocol: protocol as PortSpec["protocol"],
  }));
}

/** `NAME:ADDRESS` or `NAME=ADDRESS`. */
export function parseExtraHost(word: Word) {
  const [, host = "", address = ""] = /^([^:=]+)[:=](.+)$/.exec(word.text) ?? [];
  if (host === "") throw refuse(word, "a host such as db:10.0.0.2", `bad format for add-host: "${word.text}"`);
  if (address !== "host-gateway" && !/^[\d.]+$|:/.test(address))
    throw refuse(word, "an address, or host-gateway", `invalid IP address in add-host: "${address}"`);
  return { ...word, host, address };
}

/** Reads a word whose reader throws RangeError. @throws {InputError} */
export function readWord<T>(word: Word, expected: string, reader: (text: string) => T): T {
  try {
    return reader(word.text);
  } catch (error) {
    if (error instanceof RangeError) throw refuse(word, expected);
    throw error;
  }
}
