import type { Connection, Tuple } from "../kernel/conntrack/connection.ts";
import { formatProtocol } from "../kernel/netfilter/protocol-name.ts";
import { formatIpv4, parseIpv4 } from "../wire/address.ts";
import { type Machine, nowOf } from "./machine.ts";
import { type Printed, Refusal, unmodelled } from "./printed.ts";

const NAME = "conntrack v1.4.7 (conntrack-tools)";
const ICMP = 1;

/** `conntrack -L|-C|-F|-D`, of conntrack-tools 1.4.7. The kernel lists flows in the order of a hash. */
export function conntrack(args: readonly string[], machine: Machine): Printed {
  const { tracker } = machine.host.net;
  const [command, ...rest] = args;
  tracker.collect();
  if (command === "-C" || command === "--count") return { out: `${tracker.table.size}\n`, err: "", status: 0 };
  if (command === "-F" || command === "--flush") {
    tracker.flush();
    return { out: "", err: `${NAME}: connection tracking table has been emptied.\n`, status: 0 };
  }
  const deletes = command === "-D" || command === "--delete";
  if (!deletes && command !== "-L" && command !== "--dump")
    throw unmodelled(`conntrack ${command ?? ""}`.trimEnd(), "conntrack -L, -C, -F and -D");
  const { passes, extended } = readFilter(rest);
  const flows = [...tracker.table].filter(passes);
  if (deletes) for (const flow of flows) tracker.destroy(flow);
  const out = flows.map((flow) => `${extended ? "ipv4     2 " : ""}${flowText(flow, machine)}\n`).join("");
  const err = `${NAME}: ${flows.length} flow entries have been ${deletes ? "deleted" : "shown"}.\n`;
  return { out, err, status: deletes && flows.length === 0 ? 1 : 0 };
}

function readFilter(args: readonly string[]): { passes(flow: Connection): boolean; extended: boolean } {
  const tests: ((flow: Connection) => boolean)[] = [];
  let extended = false;
  for (let i = 0; i < args.length; i += 2) {
    const [word, value = ""] = [args[i]!, args[i + 1]];
    const address = () => {
      try {
        return parseIpv4(value);
      } catch {
        throw new Refusal(`${NAME}: Invalid IP address \`${value}'`, 2);
      }
    };
    if (word === "-p" || word === "--proto")
      tests.push(({ original }) => formatProtocol(original.protocol) === value || String(original.protocol) === value);
    else if (word === "-s" || word === "--src" || word === "--orig-src") {
      const wanted = address();
      tests.push(({ original }) => original.source === wanted);
    } else if (word === "-d" || word === "--dst" || word === "--orig-dst") {
      const wanted = address();
      tests.push(({ original }) => original.destination === wanted);
    } else if (word === "--dport" || word === "--orig-port-dst")
      tests.push(({ original }) => original.destinationPort === Number(value));
    else if (word === "--sport" || word === "--orig-port-src")
      tests.push(({ original }) => original.sourcePort === Number(value));
    else if (word === "-f") i--;
    else if (word === "-o" && value === "extended") extended = true;
    else throw unmodelled(`conntrack ${word}`, "-p, -s, -d, --sport, --dport and -o extended");
  }
  return { passes: (flow) => tests.every((test) => test(flow)), extended };
}

function flowText(flow: Connection, machine: Machine): string {
  const { original, reply } = flow;
  const state = flow.tcp?.state ?? flow.sctp?.state ?? null;
  const left = Math.max(0, Math.floor((flow.expires - nowOf(machine)) / 1e9));
  const counters = (direction: 0 | 1) =>
    flow.accounted ? [`packets=${flow.packets[direction]}`, `bytes=${flow.bytes[direction]}`] : [];
  return [
    `${formatProtocol(original.protocol).padEnd(8)} ${original.protocol} ${left}`,
    ...(state === null ? [] : [state]),
    ...tupleWords(original),
    ...counters(0),
    ...(flow.seenReply ? [] : ["[UNREPLIED]"]),
    ...tupleWords(reply),
    ...counters(1),
    ...(flow.assured ? ["[ASSURED]"] : []),
    `mark=${flow.mark >>> 0}`,
    "use=1",
  ].join(" ");
}

function tupleWords({ source, destination, protocol, sourcePort, destinationPort }: Tuple): string[] {
  const words = [`src=${formatIpv4(source)}`, `dst=${formatIpv4(destination)}`];
  if (protocol === ICMP)
    words.push(`type=${destinationPort >> 8}`, `code=${destinationPort & 255}`, `id=${sourcePort}`);
  else if (sourcePort !== 0 || destinationPort !== 0) words.push(`sport=${sourcePort}`, `dport=${destinationPort}`);
  return words;
}
