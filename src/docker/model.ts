import type { Ipv4, Mac, Prefix } from "../wire/address.ts";
import type { AttachmentSpec, ContainerSpec, Terminal } from "./command.ts";
import type { Engine } from "./engine.ts";

/** One engine with all that it made: what `docker ps`, `docker network inspect` and the rest print. */
export interface DockerHost {
  readonly engine: Engine;
  readonly options: DaemonOptions;
  /** The namespace of the world that dockerd runs in. */
  readonly namespace: string;
  /** By name, in the order of their creation: bridge, host and none first. */
  readonly networks: ReadonlyMap<string, DockerNetwork>;
  /** By name, in the order of their creation. */
  readonly containers: ReadonlyMap<string, Container>;
  /** dockerd's own words. */
  readonly command: string;
  /** What dockerd started in the host's namespace: docker-proxy. */
  readonly processes: readonly Process[];
}

/** As in daemon.json. */
export interface DaemonOptions {
  readonly debug: boolean;
  /** `userland-proxy-path`. */
  readonly proxyPath: string;
  readonly userlandProxy: boolean;
  readonly icc: boolean;
  /** `bip`: docker0's own address. */
  readonly bridgeAddress: { readonly address: Ipv4; readonly length: number } | null;
  /** `default-address-pools`. */
  readonly pools: readonly AddressPool[];
  readonly dns: readonly string[];
  /** `ip`: the host address of a published port that names none. */
  readonly publishAddress: string;
}

/** Networks of `size` bits cut from `base`. */
export interface AddressPool {
  readonly base: Prefix;
  readonly size: number;
}

export type NetworkDriver = "bridge" | "host" | "null" | "macvlan" | "ipvlan";
export type GatewayMode = "nat" | "nat-unprotected" | "routed" | "isolated";

export interface DockerNetwork {
  readonly name: string;
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** Virtual nanoseconds. */
  readonly created: number;
  readonly driver: NetworkDriver;
  readonly internal: boolean;
  readonly attachable: boolean;
  /** Null for host and none. */
  readonly ipam: Ipam | null;
  /** The bridge or, of macvlan and ipvlan, the parent; null for host and none. */
  readonly device: string | null;
  readonly gatewayMode: GatewayMode;
  readonly icc: boolean;
  readonly masquerade: boolean;
  /** `com.docker.network.host_ipv4`: what outgoing flows are translated to. */
  readonly sourceAddress: Ipv4 | null;
  readonly mtu: number;
  /** As given with `-o` or `driver_opts`. */
  readonly options: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
}

export interface Ipam {
  readonly subnet: Prefix;
  readonly range: Prefix | null;
  /** Null where the bridge has no address. */
  readonly gateway: Ipv4 | null;
  readonly auxiliary: ReadonlyMap<string, Ipv4>;
  /** Given by the user, not taken from the pools. */
  readonly chosen: boolean;
}

export type ContainerState = "created" | "running" | "exited";

export interface Container {
  readonly name: string;
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly hostname: string;
  readonly image: string;
  /** The digest that stands for the image, without `sha256:`. */
  readonly imageId: string;
  /** Of its network namespace. */
  readonly sandboxId: string;
  /** What it was asked for. */
  readonly spec: ContainerSpec;
  /** ENTRYPOINT and CMD, the image's where the container has none of its own. */
  readonly entrypoint: readonly string[];
  readonly arguments: readonly string[];
  readonly terminal: Terminal;
  /** Virtual nanoseconds. */
  readonly created: number;
  /** Null before its first start. */
  readonly started: number | null;
  /** When it last ended; null while it never did. */
  readonly finished: number | null;
  readonly state: ContainerState;
  /** The namespace of the world that its programs run in: of its own, the host's, or another container's. */
  readonly namespace: string;
  /** As `--network` names it: a network, `host`, `none` or `container:NAME`. */
  readonly networkMode: string;
  /** The networks that it joins when it starts. */
  readonly attachments: readonly AttachmentSpec[];
  /** In the order of its devices. */
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly PortBinding[];
  /** As `EXPOSE` and `--expose` give them, such as `80/tcp`. */
  readonly exposed: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  /** Its `/etc/hosts`. */
  readonly hostsFile: string;
  /** Its `/etc/resolv.conf`. */
  readonly resolvConf: string;
  readonly processes: readonly Process[];
  /** The process between containerd and its first; 0 while it does not run. */
  readonly shim: number;
}

/** What runs in it: the program first. */
export const wordsOf = ({ entrypoint, arguments: rest, image }: Container): readonly string[] =>
  entrypoint.length + rest.length > 0 ? [...entrypoint, ...rest] : [image];

/** What its first process becomes: an entry point that is a script hands over to its arguments (`exec "$@"`). */
export function processOf(container: Container): string {
  const { entrypoint, arguments: rest } = container;
  const hands = /entrypoint\.sh$/.test(entrypoint[0] ?? "") && rest.length > 0;
  return (hands ? rest : wordsOf(container)).join(" ");
}

/** As `docker ps` shows it: words with a blank in quotes. */
export function commandOf(container: Container): string {
  const [path, ...rest] = wordsOf(container);
  return [path, ...rest.map((word) => (word.includes(" ") ? `'${word}'` : word))].join(" ");
}

/** A container on a network. */
export interface Endpoint {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly network: DockerNetwork;
  /** The device inside, such as `eth0`. */
  readonly device: string;
  /** The other end in the host's namespace; null for macvlan and ipvlan. */
  readonly hostDevice: string | null;
  readonly mac: Mac;
  readonly address: Ipv4;
  readonly length: number;
  /** The gateway of this network; null where there is none to use. */
  readonly gateway: Ipv4 | null;
  /** The container's default route leaves here. */
  readonly isGateway: boolean;
  readonly gatewayPriority: number;
  readonly aliases: readonly string[];
  /** Every name that the embedded DNS server answers with this address. */
  readonly dnsNames: readonly string[];
}

/** A published port. */
export interface PortBinding {
  readonly protocol: "tcp" | "udp" | "sctp";
  /** `0.0.0.0`, `::`, or one address. */
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly containerPort: number;
}

export interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}
