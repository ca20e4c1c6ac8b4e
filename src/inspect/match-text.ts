import { DCCP_TYPES } from "../kernel/netfilter/matches/dccp.ts";
import { CHUNK_TYPES } from "../kernel/netfilter/matches/sctp.ts";
import type { Match } from "../kernel/netfilter/rule.ts";
import { type Given, type PrintStyle, RuleOptions } from "./rule-options.ts";
import { serviceName } from "./service-name.ts";

type Printer = (options: RuleOptions, style: PrintStyle) => string;

const bang = ({ not }: Given): string => (not ? "!" : "");
const bangs = (given: Given | null): string => (given?.not ? "! " : "");

/** A match as `iptables -L` prints it (1.8.9), without the blank before it. */
export function matchText(match: Match, style: PrintStyle): string {
  const options = new RuleOptions(match.print());
  return (PRINTERS[match.name] ?? asSaved(match.name))(options, style);
}

/** What iptables itself prints nearly as it saves it. */
const asSaved =
  (name: string): Printer =>
  ({ text }) =>
    text === "" ? name : `${name} ${text}`;

function portText(kind: string, given: Given, { numeric, protocol }: PrintStyle): string {
  const [low = "", high] = (given.values[0] ?? "").split(":");
  const named = (port: string) => (numeric ? port : serviceName(Number(port), protocol));
  const ports = high === undefined ? named(low) : `${named(low)}:${named(high)}`;
  return `${kind}${high === undefined ? "" : "s"}:${bang(given)}${ports}`;
}

const FLAG_BITS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
const flagMask = (names: string): string => {
  const bits = names.split(",").reduce((sum, name) => sum | (name === "NONE" ? 0 : 1 << FLAG_BITS.indexOf(name)), 0);
  return `0x${bits.toString(16).toUpperCase().padStart(2, "0")}`;
};

const tcp: Printer = (options, style) => {
  const words = ["tcp"];
  for (const given of options.all) {
    const [first = "", second = ""] = given.values;
    if (given.name === "sport" || given.name === "dport")
      words.push(portText(given.name === "sport" ? "spt" : "dpt", given, style));
    else if (given.name === "tcp-option") words.push(`option=${bang(given)}${first}`);
    else if (given.name === "tcp-flags")
      words.push(
        `flags:${bang(given)}${style.numeric ? `${flagMask(first)}/${flagMask(second)}` : `${first}/${second}`}`,
      );
  }
  return words.join(" ");
};

const udp: Printer = (options, style) => {
  const words = options.all.map((given) => portText(given.name === "sport" ? "spt" : "dpt", given, style));
  return ["udp", ...words].join(" ");
};

/** The numbers of SCTP chunks, by which `iptables -n` names them. */
const chunkNumber = (name: string): string =>
  `0x${(CHUNK_TYPES.get(name) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;

const sctp: Printer = (options, style) => {
  const words = ["sctp"];
  for (const given of options.all) {
    const [scope = "", list = ""] = given.values;
    if (given.name !== "chunk-types") words.push(portText(given.name === "sport" ? "spt" : "dpt", given, style));
    else if (style.numeric && list !== "ALL" && list !== "NONE")
      words.push(`${bangs(given)}${scope} ${list.replace(/(?<=^|,)[A-Z_]+/g, chunkNumber)}`);
    else words.push(`${bangs(given)}${scope} ${list}`);
  }
  return words.join(" ");
};

const spi =
  (label: string, option: string): Printer =>
  (options) => {
    const given = options.get(option);
    const value = given === null ? "" : given.values[0]!;
    const words = given === null ? "" : `${value.includes(":") ? "spis" : "spi"}:${bang(given)}${value}`;
    return `${label} ${words}${options.has("compres") ? " reserved" : ""}`;
  };

const dccp: Printer = (options, style) => {
  const words = ["dccp"];
  for (const given of options.all) {
    const [first = ""] = given.values;
    if (given.name === "dccp-option") words.push(`option=${bang(given)}${first}`);
    else if (given.name !== "dccp-types") words.push(portText(given.name === "sport" ? "spt" : "dpt", given, style));
    else {
      const types = first.split(",").map((type) => (style.numeric ? String(DCCP_TYPES.indexOf(type)) : type));
      words.push(`${bangs(given)}${types.join(",")}`);
    }
  }
  return words.join(" ");
};

const ecn: Printer = (options) => {
  const words = ["ECN match"];
  for (const given of options.all)
    if (given.name === "ecn-ip-ect") words.push(`${bang(given)}ECT=${given.values[0]}`);
    else words.push(`${bang(given)}${given.name === "ecn-tcp-ece" ? "ECE" : "CWR"}`);
  return words.join(" ");
};

const cluster: Printer = (options) => {
  const mask = options.get("cluster-local-nodemask")!;
  const rest = `total_nodes=${options.value("cluster-total-nodes")} hash_seed=${options.value("cluster-hash-seed")}`;
  return `cluster ${bang(mask)}node_mask=${mask.values[0]} ${rest}`;
};

const realm: Printer = (options, { numeric }) => {
  const given = options.get("realm")!;
  const value = given.values[0]!;
  return `${bangs(given)}realm ${numeric && value === "cosmos" ? "0x0" : value}`;
};

const ICMP_NAMES: Readonly<Record<string, string>> = {
  any: "any",
  "0": "echo-reply",
  "3": "destination-unreachable",
  "3/0": "network-unreachable",
  "3/1": "host-unreachable",
  "3/2": "protocol-unreachable",
  "3/3": "port-unreachable",
  "3/4": "fragmentation-needed",
  "3/5": "source-route-failed",
  "3/6": "network-unknown",
  "3/7": "host-unknown",
  "3/9": "network-prohibited",
  "3/10": "host-prohibited",
  "3/11": "TOS-network-unreachable",
  "3/12": "TOS-host-unreachable",
  "3/13": "communication-prohibited",
  "3/14": "host-precedence-violation",
  "3/15": "precedence-cutoff",
  "4": "source-quench",
  "5": "redirect",
  "5/0": "network-redirect",
  "5/1": "host-redirect",
  "5/2": "TOS-network-redirect",
  "5/3": "TOS-host-redirect",
  "8": "echo-request",
  "9": "router-advertisement",
  "10": "router-solicitation",
  "11": "time-exceeded",
  "11/0": "ttl-zero-during-transit",
  "11/1": "ttl-zero-during-reassembly",
  "12": "parameter-problem",
  "12/0": "ip-header-bad",
  "12/1": "required-option-missing",
  "13": "timestamp-request",
  "14": "timestamp-reply",
  "17": "address-mask-request",
  "18": "address-mask-reply",
};

const icmp: Printer = (options, { numeric }) => {
  const given = options.get("icmp-type");
  if (given === null) return "";
  const value = given.values[0]!;
  const name = ICMP_NAMES[value];
  if (!numeric && name !== undefined) return `icmp ${bang(given)}${name}`;
  const [type, code] = value.split("/");
  const number = type === "any" ? "255" : type!;
  if (code === undefined && numeric) return given.not ? `icmp !type ${number}` : `icmptype ${number}`;
  return `icmp ${bang(given)}type ${number}${code === undefined ? "" : ` code ${code}`}`;
};

const addrtype: Printer = (options) => {
  const words = ["ADDRTYPE match"];
  for (const given of options.all)
    if (given.name === "limit-iface-in") words.push("limit-in");
    else if (given.name === "limit-iface-out") words.push("limit-out");
    else words.push(`${given.name} ${bang(given)}${given.values[0]}`);
  return words.join(" ");
};

const multiport: Printer = (options, { numeric, protocol }) => {
  const given = options.all[0]!;
  const named = (port: string) => (numeric ? port : serviceName(Number(port), protocol));
  const ports = given.values[0]!.split(",").map((item) => item.split(":").map(named).join(":"));
  return `multiport ${given.name} ${given.not ? " !" : ""}${ports.join(",")}`;
};

const comparison = (options: RuleOptions): string => {
  const given = options.all[0]!;
  const sign = { "ttl-eq": given.not ? "!=" : "==", "ttl-lt": "<", "ttl-gt": ">" }[given.name];
  return `TTL match TTL ${sign} ${given.values[0]}`;
};

/** The name of every type of service, and the mask that goes with a name. */
const TOS_NAMES: Readonly<Record<string, string>> = {
  "0x10/0x3f": "Minimize-Delay",
  "0x08/0x3f": "Maximize-Throughput",
  "0x04/0x3f": "Maximize-Reliability",
  "0x02/0x3f": "Minimize-Cost",
  "0x00/0x3f": "Normal-Service",
};

const tos: Printer = (options, { numeric }) => {
  const given = options.get("tos")!;
  const value = given.values[0]!;
  const name = numeric ? undefined : TOS_NAMES[value];
  if (name !== undefined) return `tos match${given.not ? "! " : " "}${name}`;
  return `tos match${bang(given)}${value}`;
};

const recent: Printer = (options) => {
  const verbs: Readonly<Record<string, string>> = { set: "SET", rcheck: "CHECK", update: "UPDATE", remove: "REMOVE" };
  const words: string[] = [];
  const verb = options.all.find(({ name }) => name in verbs)!;
  words.push(`${bangs(verb)}recent: ${verbs[verb.name]}`);
  if (options.has("seconds")) words.push(`seconds: ${options.value("seconds")}`);
  if (options.has("reap")) words.push("reap");
  if (options.has("hitcount")) words.push(`hit_count: ${options.value("hitcount")}`);
  if (options.has("rttl")) words.push("TTL-Match");
  words.push(`name: ${options.value("name") || "DEFAULT"}`, `side: ${options.has("rdest") ? "dest" : "source"}`);
  words.push(`mask: ${options.value("mask") || "255.255.255.255"}`);
  return words.join(" ");
};

const statistic: Printer = (options) => {
  const words = [`statistic mode ${options.value("mode")}`];
  for (const { name, not, values } of options.all)
    if (name !== "mode") words.push(`${not ? "! " : ""}${name} ${values[0]}`);
  return words.join(" ");
};

const string: Printer = (options) => {
  const given = options.get("string") ?? options.get("hex-string")!;
  const text = /--(?:hex-)?string (".*?[^\\]"|""|\S+)/.exec(options.text)?.[1] ?? given.values[0]!;
  const words = [
    `STRING match ${given.not ? "!" : ""} ${text.startsWith('"') ? text : `"${text}"`} ALGO name ${options.value("algo")}`,
  ];
  if (options.has("from") && options.value("from") !== "0") words.push(`FROM ${options.value("from")}`);
  if (options.has("to") && options.value("to") !== "65535") words.push(`TO ${options.value("to")}`);
  if (options.has("icase")) words.push("ICASE");
  return words.join(" ");
};

const ordinal = (day: string): string => {
  const number = Number(day);
  const suffix = number >= 11 && number <= 13 ? "th" : (["th", "st", "nd", "rd"][number % 10] ?? "th");
  return `${number}${suffix}`;
};

/** The end of time, which is saved and not listed. */
const LAST_DATE = "2038-01-19T03:14:07";

const time: Printer = (options) => {
  const words = ["TIME"];
  const on = options.has("weekdays") || options.has("monthdays");
  if (options.has("timestart") || options.has("timestop"))
    words.push(`from ${options.value("timestart") || "00:00:00"} to ${options.value("timestop") || "23:59:59"}`);
  const days = (given: Given, shown: (day: string) => string) =>
    `${given.not ? "!" : ""}${given.values[0]!.split(",").map(shown).join(",")}`;
  const weekdays = options.get("weekdays");
  const monthdays = options.get("monthdays");
  if (on) words.push("on");
  if (weekdays !== null) words.push(days(weekdays, String));
  if (monthdays !== null) words.push(days(monthdays, ordinal));
  if (options.has("datestart")) words.push(`starting from ${options.value("datestart").replace("T", " ")}`);
  if (options.has("datestop") && options.value("datestop") !== LAST_DATE)
    words.push(`until date ${options.value("datestop").replace("T", " ")}`);
  if (!options.has("kerneltz")) words.push("UTC");
  if (options.has("contiguous")) words.push("contiguous");
  return words.join(" ");
};

const connlimit: Printer = (options) => {
  const upto = options.get("connlimit-upto");
  const side = options.has("connlimit-daddr") ? "dst" : "src";
  const limit = upto?.values[0] ?? options.value("connlimit-above");
  return `#conn ${side}/${options.value("connlimit-mask") || "32"} ${upto === null ? ">" : "<="} ${limit}`;
};

const hashlimit: Printer = (options) => {
  const above = options.has("hashlimit-above");
  const words = [`limit: ${above ? "above" : "up to"} ${options.value(above ? "hashlimit-above" : "hashlimit-upto")}`];
  if (options.has("hashlimit-burst")) words.push(`burst ${options.value("hashlimit-burst")}`);
  if (options.has("hashlimit-mode")) words.push(`mode ${options.value("hashlimit-mode").replaceAll(",", "-")}`);
  for (const name of ["htable-size", "htable-max", "htable-gcinterval", "htable-expire", "srcmask", "dstmask"])
    if (options.has(`hashlimit-${name}`)) words.push(`${name} ${options.value(`hashlimit-${name}`)}`);
  return words.join(" ");
};

const IPSEC: Readonly<Record<string, string>> = { esp: "50", ah: "51", ipcomp: "108" };

const policy: Printer = (options, { numeric }) => {
  const words = ["policy match"];
  for (const { name, not, values } of options.all) {
    const value = values[0] ?? "";
    words.push(
      `${not ? "! " : ""}${name}${value === "" ? "" : ` ${name === "proto" && numeric ? (IPSEC[value] ?? value) : value}`}`,
    );
  }
  return words.join(" ");
};

const ranges: Printer = (options) =>
  options.all
    .map(
      (given) => `${given.name === "src-range" ? "source" : "destination"} IP range ${bangs(given)}${given.values[0]}`,
    )
    .join(" ");

const owner: Printer = (options, { numeric }) => {
  const names: Readonly<Record<string, string>> = { "uid-owner": "UID", "gid-owner": "GID" };
  const words = options.all.map((given) => {
    if (given.name === "socket-exists") return `${bangs(given)}owner socket exists`;
    if (given.name === "suppl-groups") return "incl. suppl. groups";
    const value = given.values[0]!;
    return `${bangs(given)}owner ${names[given.name]} match ${!numeric && value === "0" ? "root" : value}`;
  });
  return words.join(" ");
};

const conntrack: Printer = (options) =>
  options.all.map((given) => `${bangs(given)}${given.name} ${given.values[0]}`).join(" ");

const connbytes: Printer = (options) => {
  const given = options.get("connbytes")!;
  return `${bangs(given)}connbytes ${given.values[0]} connbytes mode ${options.value("connbytes-mode")} connbytes direction ${options.value("connbytes-dir")}`;
};

/** `limit: avg 3/hour burst 5`: the default burst is printed, though it is not saved. */
const limit: Printer = (options) => `limit: avg ${options.value("limit")} burst ${options.value("limit-burst") || "5"}`;

const valued =
  (label: string, option: string, glue = " "): Printer =>
  (options) => {
    const given = options.get(option)!;
    return `${label}${glue}${bang(given)}${given.values[0]}`;
  };

const PRINTERS: Readonly<Record<string, Printer>> = {
  addrtype,
  ah: spi("ah", "ahspi"),
  cluster,
  comment: (options) => `/* ${options.all[0]!.values.join(" ")} */`,
  connbytes,
  connlabel: (options) =>
    `connlabel ${bangs(options.get("label"))}${options.value("label")}${options.has("set") ? " set" : ""}`,
  connlimit,
  connmark: (options) => `connmark match  ${bangs(options.get("mark"))}${options.value("mark")}`,
  conntrack,
  cpu: (options) => `cpu ${bangs(options.get("cpu"))}${options.value("cpu")}`,
  dccp,
  dscp: valued("DSCP match", "dscp"),
  ecn,
  esp: spi("esp", "espspi"),
  hashlimit,
  helper: (options) => `helper match ${bangs(options.get("helper"))}"${options.value("helper")}"`,
  icmp,
  ipcomp: spi("comp", "ipcompspi"),
  iprange: ranges,
  length: valued("length", "length"),
  limit,
  mac: (options) => `MAC${options.get("mac-source")!.not ? " !" : " "}${options.value("mac-source").toLowerCase()}`,
  mark: (options) => `mark match ${bangs(options.get("mark"))}${options.value("mark")}`,
  multiport,
  owner,
  physdev: ({ text }) => `PHYSDEV match ${text}`,
  pkttype: (options) => `PKTTYPE ${options.get("pkt-type")!.not ? "!" : ""}= ${options.value("pkt-type")}`,
  policy,
  quota: (options) => `quota: ${bangs(options.get("quota"))}${options.value("quota")} bytes`,
  realm,
  recent,
  rpfilter: (options) => ["rpfilter", ...options.all.map(({ name }) => name)].join(" "),
  sctp,
  set: ({ text }) => text.replace(/(! )?--match-set/, "$1match-set").replace(/^(! )?/, "$1"),
  state: (options) => `${bangs(options.get("state"))}state ${options.value("state")}`,
  statistic,
  string,
  tcp,
  tcpmss: (options) => `tcpmss match ${bang(options.get("mss")!)}${options.value("mss")}`,
  time,
  tos,
  ttl: comparison,
  u32: (options) => `u32 ${bangs(options.get("u32"))}"${options.value("u32")}"`,
  udp,
};
