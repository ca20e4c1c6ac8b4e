import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { BridgeRules, Firewall, FirewallConfig, PortRules } from "../../src/docker/bridge-rules.ts";
import type { RuleEra } from "../../src/docker/engine.ts";
import { firewallOf } from "../../src/docker/firewall.ts";
import type { GatewayMode } from "../../src/docker/model.ts";
import { type RuleChange, RuleSet, undone } from "../../src/docker/rule-change.ts";
import { chainsOf, listChains } from "../../src/inspect/iptables-list.ts";
import { parseSets } from "../../src/kernel/netfilter/ipset-text.ts";
import type { Table } from "../../src/kernel/netfilter/rule.ts";
import { formatTables, parseRules } from "../../src/kernel/netfilter/rule-text.ts";

const MOBY = new URL("./moby/", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, MOBY), "utf8");
const files = (path: string, ending: string) =>
  readdirSync(new URL(path, MOBY))
    .filter((file) => file.endsWith(ending))
    .sort();

const NETWORK: BridgeRules = {
  bridge: "docker0",
  internal: false,
  icc: true,
  masquerade: true,
  mode: "nat",
  subnet: "172.17.0.0/16",
  sourceAddress: null,
};
const WEB: PortRules = { protocol: "tcp", address: "192.0.2.2", port: 80, hostAddress: "0.0.0.0", hostPort: 8080 };

function build(...changes: RuleChange[][]): RuleSet {
  const rules = new RuleSet();
  for (const change of changes.flat()) rules.apply(change);
  return rules;
}

/** What the simulated kernel prints once it has loaded the text. */
function throughTheKernel(saved: string): string {
  const sets = parseSets("create docker-ext-bridges-v4 hash:net\n", "sets");
  return formatTables(parseRules(saved, "saved", { sets }), { counters: false });
}

describe("the rules of bridge networks as Docker 29.7.2's own tests expect them", () => {
  const goldens = files("iptabler-29.7.2/", ".golden");

  test("there are 181 goldens of iptables and 103 of ip6tables", () => {
    expect(goldens.filter((name) => name.endsWith("__iptables.golden"))).toHaveLength(181);
    expect(goldens.filter((name) => name.endsWith("__ip6tables.golden"))).toHaveLength(103);
  });

  test.each(goldens)("%s", (name) => {
    const golden = read(`iptabler-29.7.2/${name}`);
    const [inputs = "", command = ""] = name.replace(".golden", "").split("__");
    const given = new Map(inputs.split(",").map((input) => input.split("=") as [string, string]));
    const yes = (key: string) => given.get(key) === "true";
    const family = command === "iptables" ? 4 : 6;
    const config: FirewallConfig = { family, userlandProxy: !yes("hairpin"), wsl2Mirrored: yes("wsl2mirrored") };
    const firewall = firewallOf("29", config);
    const address = family === 4 ? "192.168.0.2" : "fd49:efd7:54aa::1";
    const any = family === 4 ? "0.0.0.0" : "::";
    const loopback = family === 4 ? "127.0.0.1" : "::1";
    const network: BridgeRules = {
      bridge: "br-dummy",
      internal: yes("internal"),
      icc: yes("icc"),
      masquerade: yes("masq"),
      mode: (given.get("gwm") ?? "nat") as GatewayMode,
      subnet: family === 4 ? "192.168.0.0/24" : "fd49:efd7:54aa::/64",
      sourceAddress: yes("snat") ? (family === 4 ? "192.168.123.0" : "fd34:d0d4:672f::123") : null,
    };
    const port = { ...WEB, address, hostAddress: yes("bindlh") ? loopback : any };
    const rules = new RuleSet();
    const apply = (changes: readonly RuleChange[]) => changes.flatMap((change) => rules.apply(change));
    if (!given.has("no")) apply(firewall.start());
    if (given.has("internal") || given.has("cleaned")) {
      const made = [...apply(firewall.network(network)), ...apply(firewall.endpoint(network, address))];
      made.push(...apply(firewall.port(network, port)));
      if (given.has("cleaned")) apply(made.reverse().flatMap((change) => undone(change) ?? []));
    }
    const text = rules.save("raw") + rules.save("filter") + rules.save("nat");
    expect(text).toBe(golden);
    if (family === 4) expect(throughTheKernel(text)).toBe(golden);
  });
});

/** The dumps and documents share their networks: bridge1 192.0.2.0/24 with a container that publishes 8080:80. */
interface Setting {
  readonly userlandProxy?: boolean;
  readonly networks: readonly BridgeRules[];
  readonly ports: readonly (readonly [number, PortRules])[];
}
const BRIDGE_1 = { ...NETWORK, bridge: "bridge1", subnet: "192.0.2.0/24" };
const published = (network: Partial<BridgeRules> = {}, port: Partial<PortRules> = {}): Setting => ({
  networks: [{ ...BRIDGE_1, ...network }],
  ports: [[0, { ...WEB, ...port }]],
});
const INTERNAL: Setting = {
  networks: [
    { ...BRIDGE_1, bridge: "bridgeICC", internal: true },
    { ...BRIDGE_1, bridge: "bridgeNoICC", subnet: "198.51.100.0/24", internal: true, icc: false },
  ],
  ports: [],
};

function setUp(firewall: Firewall, { networks, ports }: Setting): RuleChange[] {
  const changes = [...firewall.start(), ...firewall.network(NETWORK), ...firewall.userChain()];
  networks.forEach((network, i) => {
    changes.push(...firewall.network(network));
    const own = ports.filter(([which]) => which === i);
    for (const [, port] of own)
      changes.push(...firewall.endpoint(network, port.address), ...firewall.port(network, port));
  });
  return changes;
}

describe("the rules of 23.0.18 as its libnetwork wrote them", () => {
  const BRIDGE_2 = { ...BRIDGE_1, bridge: "bridge2", subnet: "198.51.100.0/24" };
  const other: PortRules = { ...WEB, protocol: "udp", address: "198.51.100.2", hostPort: 8081 };
  const settings: Readonly<Record<string, Setting>> = {
    "new-daemon": { networks: [], ports: [] },
    usernet: { networks: [BRIDGE_1], ports: [] },
    "usernet-portmap": published(),
    "usernet-portmap-lo": published({}, { hostAddress: "127.0.0.1" }),
    "usernet-portmap-noicc": published({ icc: false }),
    "usernet-portmap-noproxy": { ...published(), userlandProxy: false },
    "usernet-portmap-hostipv4-snat": published({ sourceAddress: "192.168.65.3" }),
    "usernet-portmap-ip6tables": published(),
    "usernet-internal": INTERNAL,
    "two-usernets": {
      networks: [BRIDGE_1, BRIDGE_2],
      ports: [
        [0, WEB],
        [1, other],
      ],
    },
  };
  const dumps = files("libnetwork-23.0.18/", ".rules");

  test("there are ten dumps", () => expect(dumps).toHaveLength(10));

  test.each(dumps)("%s", (file) => {
    const setting = settings[file.replace(".rules", "")]!;
    const { userlandProxy = true } = setting;
    const drop: RuleChange = { kind: "policy", table: "filter", chain: "FORWARD", policy: "DROP" };
    const rules = build([drop], setUp(firewallOf("classic", { family: 4, userlandProxy }), setting));
    let text = "";
    for (const table of ["filter", "nat", "raw", "mangle"] as const) text += `# ${table}\n${rules.list(table)}`;
    if (file.includes("ip6tables")) {
      const network = { ...BRIDGE_1, subnet: "fd00:dead::/64" };
      const firewall = firewallOf("classic", { family: 6, userlandProxy });
      const port = { ...WEB, address: "fd00:dead::2", hostAddress: "::" };
      const six = build(
        [drop],
        firewall.start(),
        firewall.network({ ...NETWORK, subnet: null }),
        firewall.network(network),
        firewall.port(network, port),
      );
      for (const table of ["filter", "nat", "raw"] as const) text += `# ip6 ${table}\n${six.list(table)}`;
    }
    expect(text).toBe(read(`libnetwork-23.0.18/${file}`));
  });
});

describe("the documents that Docker generates of its rules", () => {
  const settings: Readonly<Record<string, Setting>> = {
    "new-daemon": { networks: [], ports: [] },
    "usernet-portmap": published(),
    "usernet-portmap-lo": published({}, { hostAddress: "127.0.0.1" }),
    "usernet-portmap-noicc": published({ icc: false }),
    "usernet-portmap-noproxy": { ...published(), userlandProxy: false },
    "usernet-portmap-natunprot": published({ mode: "nat-unprotected" }),
    "usernet-portmap-routed": published({ mode: "routed" }, { hostPort: 0 }),
    "usernet-internal": INTERNAL,
    "swarm-portmap": {
      networks: [{ ...NETWORK, bridge: "docker_gwbridge", subnet: "172.18.0.0/16", icc: false }],
      ports: [],
    },
  };
  const eras: Readonly<Record<string, RuleEra>> = {
    "28.0.0": "28.0",
    "28.5.2": "28.5",
    "29.0.0": "29",
    "29.7.2": "29",
  };
  const documents = Object.keys(eras).flatMap((version) =>
    files(`iptablesdoc/${version}/`, ".md").map((file) => [version, file] as const),
  );

  test("there are nine documents of each of four engines", () => expect(documents).toHaveLength(36));

  function rulesOf(version: string, file: string): RuleSet {
    const setting = settings[file.replace(".md", "")]!;
    const { userlandProxy = true } = setting;
    const firewall = firewallOf(eras[version]!, { family: 4, userlandProxy });
    const rules = build(setUp(firewall, setting));
    if (file.startsWith("swarm"))
      for (const change of firewall.ingress("docker_gwbridge", [{ ...WEB, address: "172.18.0.2" }]))
        rules.apply(change);
    return rules;
  }

  test.each(documents)("%s %s", (version, file) => {
    const rules = rulesOf(version, file);
    const chain = rules
      .list("filter")
      .split("\n")
      .filter((line) => /^-[NA] DOCKER( |$)/.test(line));
    const lists = [rules.list("filter"), `${chain.join("\n")}\n`, rules.list("nat"), rules.list("raw")];
    const blocks = commandBlocks(read(`iptablesdoc/${version}/${file}`));
    for (const block of blocks) expect(lists).toContain(block);
    // Where rules differ from those of the document before it, a document shows the table.
    expect(blocks).toContain(file.endsWith("-lo.md") || file.endsWith("noproxy.md") ? lists[2] : lists[0]);
  });

  test.each(documents)("%s %s in its listings", (version, file) => {
    const document = read(`iptablesdoc/${version}/${file}`);
    const numeric = !document.includes("anywhere");
    const options = { numeric, verbose: true, exact: false, lineNumbers: true, nameOf: nameOfAddress };
    const listings = parse(rulesOf(version, file)).flatMap((table) => {
      const chains = chainsOf(table);
      const docker = chains.filter(({ name }) => name === "DOCKER");
      return [listChains(table, chains, options), listChains(table, docker, options)];
    });
    const blocks = listingBlocks(document);
    expect(blocks.length).toBeGreaterThan(0);
    for (const block of blocks) expect(listings.map(trimmed)).toContain(block);
  });

  /** Names of the networks and the hosts file. */
  const NAMES: ReadonlyMap<number, string> = new Map([
    [0x7f000000, "loopback"],
    [0x7f000001, "localhost"],
  ]);
  const nameOfAddress = (address: number): string | null => NAMES.get(address) ?? null;

  function parse(rules: RuleSet): Table[] {
    const sets = parseSets("create docker-ext-bridges-v4 hash:net\n", "sets");
    return parseRules(rules.save("filter") + rules.save("nat") + rules.save("raw"), "rules", { sets });
  }

  const trimmed = (text: string): string => text.trimEnd();

  /** What `iptables -L` printed, indented by four. */
  function listingBlocks(document: string): string[] {
    const blocks = document.matchAll(/(?:^ {4}Chain .*\n(?: {4}.*\n)+)+/gm);
    return [...blocks].map(([text]) => trimmed(text.replaceAll(/^ {4}/gm, "")));
  }

  test("they hold 84 outputs of iptables -S", () => {
    const all = documents.flatMap(([version, file]) => commandBlocks(read(`iptablesdoc/${version}/${file}`)));
    expect(all).toHaveLength(84);
  });

  /** What `iptables -S` printed, indented by four. */
  function commandBlocks(document: string): string[] {
    return [...document.matchAll(/(?:^ {4}-[PNA] .*\n)+/gm)].map(([text]) => text.replaceAll(/^ {4}/gm, ""));
  }
});
