import type { DockerProxyOptions } from "../program/docker-proxy.ts";
import { formatIpv4, type Ipv4 } from "../wire/address.ts";
import type { UpperKind } from "../world/world.ts";
import type { Bind } from "./command.ts";
import { formatChange, type RuleChange } from "./rule-change.ts";

/** One thing done to a namespace of the world, as one or two commands would do it by hand. */
export type Operation =
  | { readonly kind: "namespace"; readonly name: string }
  | {
      readonly kind: "bridge";
      readonly namespace: string;
      readonly device: string;
      readonly mac: string;
      readonly mtu: number;
    }
  | { readonly kind: "veth"; readonly ends: readonly [EndSpec, EndSpec]; readonly mtu: number }
  | {
      readonly kind: "attach";
      readonly namespace: string;
      readonly bridge: string;
      readonly device: string;
      readonly hairpin: boolean;
    }
  /** A macvlan or ipvlan device on `parent`, which is in the namespace `from`; a null address is the parent's or chosen. */
  | {
      readonly kind: "upper";
      readonly namespace: string;
      readonly device: string;
      readonly mac: string | null;
      readonly from: string;
      readonly parent: string;
      readonly upper: UpperKind;
    }
  | { readonly kind: "dummy"; readonly namespace: string; readonly device: string }
  /** Three gratuitous ARP requests, a second apart. */
  | { readonly kind: "announce"; readonly namespace: string; readonly device: string; readonly address: string }
  | {
      readonly kind: "address";
      readonly namespace: string;
      readonly device: string;
      readonly address: string;
      /** With the broadcast address that goes with it. */
      readonly broadcast: boolean;
    }
  | { readonly kind: "up"; readonly namespace: string; readonly device: string }
  | { readonly kind: "remove-device"; readonly namespace: string; readonly device: string }
  | { readonly kind: "route" | "remove-route"; readonly namespace: string; readonly route: string }
  | { readonly kind: "sysctl"; readonly namespace: string; readonly key: string; readonly value: number }
  | { readonly kind: "rules"; readonly namespace: string; readonly change: RuleChange }
  | { readonly kind: "file"; readonly namespace: string; readonly path: string; readonly text: string }
  /** A path of the host's namespace that is seen here as well. */
  | { readonly kind: "bind"; readonly namespace: string; readonly from: string; readonly bind: Bind }
  | { readonly kind: "environment"; readonly namespace: string; readonly values: ReadonlyMap<string, string> }
  | { readonly kind: "forget"; readonly namespace: string; readonly flows: FlowFilter }
  /** What the embedded DNS server of a namespace knows from now on. */
  | { readonly kind: "names"; readonly namespace: string; readonly records: readonly NameRecord[] }
  /** A port of the machine that a translator runs on leads to a container; `port` is vpnkit's word for it. */
  | { readonly kind: "expose" | "unexpose"; readonly at: TranslatorPort; readonly port: string }
  | { readonly kind: "start" | "stop"; readonly namespace: string; readonly process: ProcessSpec };

export interface EndSpec {
  readonly namespace: string;
  readonly device: string;
  /** Null for the kernel's choice. */
  readonly mac: string | null;
}

/** One guest of a translator. */
export interface TranslatorPort {
  readonly translator: string;
  readonly guest: string;
}

/** A name in the embedded DNS server, and the network that it was found on. */
export interface NameRecord {
  readonly name: string;
  readonly network: string;
  readonly address: Ipv4;
}

/** Which tracked flows are forgotten: those of an address, or UDP ones to a port of the host. */
export type FlowFilter = { readonly address: string } | { readonly udpPort: number };

/** What runs in a process, as far as it meets packets. */
export type ProcessProgram =
  | { readonly kind: "proxy"; readonly options: DockerProxyOptions }
  | {
      readonly kind: "resolver";
      readonly port: number;
      readonly tcpPort: number;
      readonly upstreams: readonly Ipv4[];
      /** The namespace whose sockets ask them. */
      readonly asksFrom: string;
    };

/** A process that Docker starts. */
export interface ProcessSpec {
  /** 0 for what dockerd does itself. */
  readonly pid: number;
  readonly parent: number;
  /** Null for one that meets no IPv4 packet. */
  readonly program: ProcessProgram | null;
  /** As `ps` shows it. */
  readonly command: string;
}

/** Commands that do the same by hand; `host` is the namespace that needs no word. */
export function formatOperation(operation: Operation, host: string): string[] {
  const ip = (namespace: string) => (namespace === host ? "ip" : `ip -n ${namespace}`);
  const exec = (namespace: string) => (namespace === host ? "" : `ip netns exec ${namespace} `);
  switch (operation.kind) {
    case "namespace":
      return [
        `ip netns add ${operation.name}`,
        `ip -n ${operation.name} link set lo up`,
        `mkdir -p /etc/netns/${operation.name}`,
      ];
    case "bridge":
      return [`ip link add ${operation.device} address ${operation.mac} mtu ${operation.mtu} type bridge`];
    case "veth":
      return [formatVeth(operation.ends, operation.mtu, host)];
    case "attach": {
      const { device, bridge } = operation;
      return [
        `brctl addif ${bridge} ${device}`,
        ...(operation.hairpin ? [`brctl hairpin ${bridge} ${device} on`] : []),
      ];
    }
    case "upper":
      return [formatUpper(operation, host)];
    case "dummy":
      return [`${ip(operation.namespace)} link add ${operation.device} type dummy`];
    case "announce": {
      const { namespace, device, address } = operation;
      return [`${exec(namespace)}arping -U -c 3 -I ${device} ${address}`];
    }
    case "address": {
      const { namespace, address, broadcast, device } = operation;
      return [`${ip(namespace)} addr add ${address} ${broadcast ? "brd + " : ""}dev ${device}`];
    }
    case "up":
      return [`${ip(operation.namespace)} link set ${operation.device} up`];
    case "remove-device":
      return [`${ip(operation.namespace)} link del ${operation.device}`];
    case "route":
      return [`${ip(operation.namespace)} route add ${operation.route}`];
    case "remove-route":
      return [`${ip(operation.namespace)} route del ${operation.route}`];
    case "sysctl":
      return [`${exec(operation.namespace)}sysctl -w ${operation.key}=${operation.value}`];
    case "rules":
      return [`${exec(operation.namespace)}${formatChange(operation.change)}`];
    case "file":
      return formatFile(operation);
    case "bind": {
      const { source, target, readOnly } = operation.bind;
      return [`# ${operation.namespace}: mount --bind ${readOnly ? "-o ro " : ""}${source} ${target}`];
    }
    case "environment":
      return [];
    case "forget":
      return formatForget(operation.flows).map((command) => `${exec(operation.namespace)}${command}`);
    case "names":
      return operation.records.map(
        ({ name, network, address }) =>
          `# ${operation.namespace}: ${name} is ${formatIpv4(address)} (network ${network})`,
      );
    case "expose":
    case "unexpose":
      return [`# ${operation.at.translator}: ${operation.kind} ${operation.port}`];
    case "start":
      return [startCommand(operation.process, exec(operation.namespace))];
    case "stop":
      return [
        operation.process.pid === 0 ? `# it ends: ${operation.process.command}` : `kill ${operation.process.pid}`,
      ];
  }
}

/** What a trace tells of it: the commands, without the text of files. */
export function tellOperation(operation: Operation, host: string): string[] {
  if (operation.kind === "file") return [`$ cat > /etc/netns/${operation.namespace}${operation.path.slice(4)} ...`];
  return formatOperation(operation, host).map((line) => (line.startsWith("# ") ? line : `$ ${line}`));
}

/** What dockerd does itself has no command of its own. */
const startCommand = ({ pid, command }: ProcessSpec, exec: string): string =>
  pid === 0 ? `# ${command}` : `${exec}${command} &`;

function formatVeth([host, inside]: readonly [EndSpec, EndSpec], mtu: number, root: string): string {
  const address = inside.mac === null ? "" : ` address ${inside.mac}`;
  const peer = `peer name ${inside.device}${inside.namespace === root ? "" : ` netns ${inside.namespace}`}`;
  return `ip link add ${host.device} mtu ${mtu} type veth ${peer}${address} mtu ${mtu}`;
}

function formatUpper(operation: Extract<Operation, { kind: "upper" }>, root: string): string {
  const { namespace, device, mac, from, parent, upper } = operation;
  const ip = from === root ? "ip" : `ip -n ${from}`;
  const address = mac === null ? "" : ` address ${mac}`;
  return `${ip} link add link ${parent} name ${device} netns ${namespace}${address} type ${upper.type} mode ${upper.mode}`;
}

function formatFile({ path, namespace, text }: Extract<Operation, { kind: "file" }>): string[] {
  return [`cat > /etc/netns/${namespace}${path.replace(/^\/etc/, "")} <<EOF`, ...text.trimEnd().split("\n"), "EOF"];
}

function formatForget(flows: FlowFilter): string[] {
  if ("udpPort" in flows) return [`conntrack -D -p udp --orig-port-dst ${flows.udpPort}`];
  return [`conntrack -D --reply-src ${flows.address}`, `conntrack -D --reply-dst ${flows.address}`];
}
