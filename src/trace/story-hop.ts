import { Headers } from "./headers.ts";
import { birthHeaders, kindOf } from "./packet-title.ts";
import { REASON_TEXT } from "./reason-text.ts";
import { manipText } from "./step-text.ts";
import type { Telling } from "./story.ts";
import type { Entry } from "./story-line.ts";
import type { Hop, PacketTrace } from "./trace.ts";

/** Tells a packet in one line for each namespace that it passes, and one for its end. */
export function hopEntries(packet: PacketTrace, telling: Telling): Entry[] {
  const entries: Entry[] = [];
  const headers = new Headers();
  for (const hop of packet.hops) {
    const news: string[] = [];
    for (const step of hop.steps) {
      headers.apply(step);
      if (step.kind === "rewrite" && step.layer === "packet") news.push(manipText(step, headers));
      else if (step.kind === "set" && step.field === "ttl") news.push(`ttl ${step.from} > ${step.to}`);
    }
    const path = devicePath(hop);
    const text = `${path === "" ? "made here" : path}${news.length > 0 ? "  " : ""}${news.join("; ")}`;
    const { time } = hop.steps[0]!;
    entries.push({ namespace: hop.namespace, subject: "", text, role: "text", time, arrives: true });
    for (const step of hop.steps)
      if (step.kind === "program")
        entries.push({ namespace: hop.namespace, subject: "", text: step.line, role: "event", time: step.time });
  }
  const { time, kind } = packet.disposition;
  const namespace = packet.hops[packet.hops.length - 1]!.namespace;
  const role = kind === "dropped" || kind === "queued" ? "drop" : "accept";
  return [...entries, { namespace, subject: "", text: endText(packet, telling), role, time }];
}

/** Tells a packet's way and end in as few lines as can be: for those that only serve others, such as ARP. */
export function pathEntries(packet: PacketTrace, telling: Telling): Entry[] {
  const [first, ...rest] = packet.hops;
  const way = [devicePath(first!), ...rest.map((hop) => `${hop.namespace} ${devicePath(hop)}`)].join(" ");
  const { kind } = packet.disposition;
  const role = kind === "dropped" || kind === "queued" ? "drop" : "text";
  const text = `${way}: ${endText(packet, telling)}`;
  const { time } = packet.disposition;
  return [{ namespace: first!.namespace, subject: "arp", text, role, time }];
}

/** `> vethaebefa2, docker0, eth0 >`: in by the first, out by the last. */
function devicePath(hop: Hop): string {
  const devices: string[] = [];
  for (const { kind, where } of hop.steps)
    if ((kind === "rx" || kind === "tx") && where?.device && !devices.includes(where.device))
      devices.push(where.device);
  if (devices.length === 0) return "";
  return `${hop.in === null ? "" : "> "}${devices.join(", ")}${hop.out === null ? "" : " >"}`;
}

function endText(packet: PacketTrace, { trace, link }: Telling): string {
  const { disposition, children } = packet;
  const answers = children
    .map((id) => trace.byId.get(id)!)
    .filter((child) => child.origin === "generated" && kindOf(birthHeaders(child)) !== "ARP request")
    .map(({ id }) => link(id));
  const list = answers.length === 0 ? "" : `: ${answers.join(", ")}`;
  switch (disposition.kind) {
    case "delivered":
      return `delivered to ${disposition.to}${list}`;
    case "consumed":
      if (disposition.by !== "ARP") return disposition.by + list;
      if (list !== "") return `answered${list}`;
      return kindOf(birthHeaders(packet)) === "ARP reply" ? "noted" : "noted, no answer from here";
    case "dropped":
      return `dropped, ${disposition.reason}: ${REASON_TEXT[disposition.reason]}${list}`;
    case "queued":
      return "still under way when the trace ends";
  }
}
