import type { Target } from "../kernel/netfilter/rule.ts";
import { type PrintStyle, RuleOptions } from "./rule-options.ts";

type Printer = (options: RuleOptions, style: PrintStyle) => string;

/** A target's options as `iptables -L` prints them (1.8.9), without the blank before them; empty for none. */
export function targetText(target: Target, style: PrintStyle): string {
  const options = new RuleOptions(target.print());
  const printer = PRINTERS[target.name];
  if (printer !== undefined) return printer(options, style);
  return options.text === "" ? "" : `${target.name} ${options.text}`;
}

/** `to:ADDRESS` and the flags without their dashes. */
const natTo =
  (option: string): Printer =>
  (options) =>
    [`to:${options.value(option)}`, ...flags(options)].join(" ");

const flags = (options: RuleOptions): string[] =>
  ["random", "random-fully", "persistent"].filter((name) => options.has(name));

const toPorts =
  (label: string): Printer =>
  (options) =>
    [
      ...(options.has("to-ports") ? [`${label} ports${label === "masq" ? ":" : ""} ${options.value("to-ports")}`] : []),
      ...flags(options),
    ].join(" ");

const LEVELS = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];
const LOG_FLAGS = [
  ["log-tcp-sequence", "tcp-sequence", 1],
  ["log-tcp-options", "tcp-options", 2],
  ["log-ip-options", "ip-options", 4],
  ["log-uid", "uid", 8],
  ["log-macdecode", "macdecode", 32],
] as const;

const log: Printer = (options, { numeric }) => {
  const level = options.has("log-level") ? Number(options.value("log-level")) : 4;
  const given = LOG_FLAGS.filter(([option]) => options.has(option));
  const words = numeric
    ? [`LOG flags ${given.reduce((sum, [, , bit]) => sum | bit, 0)} level ${level}`]
    : [`LOG level ${LEVELS[level]}`, ...given.map(([, name]) => name)];
  if (options.has("log-prefix")) words.push(`prefix "${options.value("log-prefix")}"`);
  return words.join(" ");
};

const ALL = 0xffffffff;
const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/** What `--set-xmark VALUE/MASK` says in the words of `mark_tg_print()`. */
function markChange(text: string): string {
  const [value = 0, mask = ALL] = text.split("/").map(Number);
  if (mask === 0) return `xor ${hex(value)}`;
  if (mask === ALL) return `set ${hex(value)}`;
  if (value === 0) return `and ${hex(~mask)}`;
  return value === mask ? `or ${hex(value)}` : `xset ${hex(value)}/${hex(mask)}`;
}

const mark: Printer = (options) => {
  const text = options.value("set-xmark");
  const [value = 0, mask = ALL] = text.split("/").map(Number);
  // Of two readings iptables tries "and" first, and then "or".
  return `MARK ${value === 0 && mask === ALL ? "set 0x0" : markChange(text)}`;
};

const connmark: Printer = (options) => {
  if (options.has("set-xmark")) {
    const [value = 0, mask = ALL] = options.value("set-xmark").split("/").map(Number);
    if (value === 0 && mask !== ALL && mask !== 0) return `CONNMARK and ${hex(~mask)}`;
    if (value === mask && mask !== ALL) return `CONNMARK or ${hex(value)}`;
    if (mask === 0) return `CONNMARK xor ${hex(value)}`;
    return `CONNMARK ${mask === ALL ? `set ${hex(value)}` : `xset ${hex(value)}/${hex(mask)}`}`;
  }
  const verb = options.has("save-mark") ? "save" : "restore";
  const packet = options.value("nfmask");
  const connection = options.value("ctmask");
  if (packet === "0xffffffff" && connection === "0xffffffff") return `CONNMARK ${verb}`;
  if (packet === connection) return `CONNMARK ${verb} mask ${packet}`;
  return `CONNMARK ${verb} nfmask ${packet} ctmask ${connection}`;
};

const TTL: Readonly<Record<string, string>> = {
  "ttl-set": "set to",
  "ttl-inc": "increment by",
  "ttl-dec": "decrement by",
};

const tos: Printer = (options, { numeric }) => {
  const text = options.value("set-tos");
  const [value = 0, mask = 0] = text.split("/").map(Number);
  const byte = (number: number) => `0x${number.toString(16).padStart(2, "0")}`;
  if (numeric || mask === 0xff) return `TOS set ${text}`;
  if (value === 0) return `TOS and ${byte(~mask & 0xff)}`;
  if (value === mask) return `TOS or ${byte(value)}`;
  return mask === 0 ? `TOS xor ${byte(value)}` : `TOS set ${text}`;
};

const ct: Printer = (options) => {
  const words = ["CT"];
  for (const { name, values } of options.all) words.push([name, ...values].join(" "));
  return words.join(" ");
};

const set: Printer = ({ text }) =>
  text.replaceAll("--add-set", "add-set").replaceAll("--del-set", "del-set").replaceAll("--exist", "exist");

const plain =
  (label: string, option: string): Printer =>
  (options) =>
    `${label} ${options.value(option)}`;

const PRINTERS: Readonly<Record<string, Printer>> = {
  CHECKSUM: () => "CHECKSUM fill",
  CLASSIFY: (options) =>
    `CLASSIFY set ${options
      .value("set-class")
      .split(":")
      .map((part) => Number.parseInt(part, 16).toString(16))
      .join(":")}`,
  CONNMARK: connmark,
  CT: ct,
  DNAT: natTo("to-destination"),
  DSCP: plain("DSCP set", "set-dscp"),
  ECN: () => "ECN TCP remove",
  LOG: log,
  MARK: mark,
  MASQUERADE: toPorts("masq"),
  NETMAP: natTo("to"),
  NFLOG: ({ text }) => text.replaceAll(/--(?=nflog)/g, ""),
  NOTRACK: () => "NOTRACK",
  REDIRECT: toPorts("redir"),
  REJECT: plain("reject-with", "reject-with"),
  SET: set,
  SNAT: natTo("to-source"),
  TCPMSS: (options) =>
    options.has("clamp-mss-to-pmtu") ? "TCPMSS clamp to PMTU" : `TCPMSS set ${options.value("set-mss")}`,
  TEE: (options) => `TEE gw:${options.value("gateway")}${options.has("oif") ? ` oif=${options.value("oif")}` : ""}`,
  TOS: tos,
  TPROXY: (options) =>
    `TPROXY redirect ${options.value("on-ip") || "0.0.0.0"}:${options.value("on-port")} mark ${options.value("tproxy-mark") || "0x0/0x0"}`,
  TRACE: () => "",
  TTL: (options) => `TTL ${TTL[options.all[0]!.name]} ${options.all[0]!.values[0]}`,
};
