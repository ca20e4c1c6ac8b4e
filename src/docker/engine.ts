/** Which generation of rules an engine writes. */
export type RuleEra = "17.05" | "classic" | "28.0" | "28.5" | "29";

/** One engine, and where it differs from the others. */
export interface Engine {
  /** As `--engine` takes it. */
  readonly name: string;
  /** As `docker version` prints it. */
  readonly version: string;
  readonly rules: RuleEra;
  /** The version of its HTTP API. */
  readonly api: string;
  /** `02:42:` and the IPv4 address, instead of a random address. */
  readonly macOfAddress: boolean;
  /** `br_netfilter` is loaded at start, and not only where a rule needs to see bridged frames. */
  readonly bridgeNetfilter: boolean;
  /** Containers on an internal network have a default route all the same. */
  readonly internalRoute: boolean;
  /** `gw-priority` chooses among networks. */
  readonly gatewayPriority: boolean;
  /** The embedded DNS server asks its upstream servers from the host's namespace, not from the container's. */
  readonly forwardsFromHost: boolean;
  /** `ip6tables` is on without being asked for. */
  readonly ip6tables: boolean;
  /** Its addresses have their broadcast addresses (netlink's `AddrAdd()`). */
  readonly broadcasts: boolean;
  /** A container's new address is announced by three gratuitous ARP requests. */
  readonly announces: boolean;
}

const CLASSIC: Omit<Engine, "name" | "version" | "api"> = {
  rules: "classic",
  macOfAddress: true,
  bridgeNetfilter: true,
  internalRoute: true,
  gatewayPriority: false,
  forwardsFromHost: false,
  ip6tables: false,
  broadcasts: true,
  announces: false,
};

export const ENGINES: readonly Engine[] = [
  { ...CLASSIC, name: "17.05", version: "17.05.0-ce", api: "1.29", rules: "17.05", broadcasts: false },
  { ...CLASSIC, name: "19.03", version: "19.03.15", api: "1.40" },
  {
    ...CLASSIC,
    name: "23",
    version: "23.0.18",
    api: "1.42",
  },
  {
    name: "27",
    version: "27.5.1",
    api: "1.47",
    rules: "classic",
    macOfAddress: true,
    bridgeNetfilter: false,
    internalRoute: false,
    gatewayPriority: false,
    forwardsFromHost: false,
    ip6tables: true,
    broadcasts: true,
    announces: false,
  },
  { ...modern("28.0", "28.0.0"), api: "1.48", rules: "28.0" },
  { ...modern("28.5", "28.5.2"), api: "1.51", rules: "28.5" },
  { ...modern("29", "29.7.2"), api: "1.55", rules: "29" },
];

/** It is older than the first release of that major version. */
export const isBefore = ({ version }: Engine, major: number): boolean => Number.parseInt(version, 10) < major;

export const DEFAULT_ENGINE = ENGINES.at(-1)!;

function modern(name: string, version: string) {
  return {
    name,
    version,
    macOfAddress: false,
    bridgeNetfilter: false,
    internalRoute: false,
    gatewayPriority: true,
    forwardsFromHost: true,
    ip6tables: true,
    broadcasts: true,
    announces: true,
  };
}

/** @throws {RangeError} that lists the engines there are. */
export function findEngine(name: string): Engine {
  const engine = ENGINES.find((each) => each.name === name || each.version === name);
  if (engine === undefined)
    throw new RangeError(`no engine ${name}; there are ${ENGINES.map((each) => each.name).join(", ")}`);
  return engine;
}
