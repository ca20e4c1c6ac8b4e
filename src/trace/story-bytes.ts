import type { CapturedFrame } from "./capture.ts";
import type { Headers } from "./headers.ts";
import { kindOf, tcpFlagNames } from "./packet-title.ts";
import type { Entry } from "./story-line.ts";

const PER_LINE = 16;

/** The headers that a frame has at one device, one text each. */
export function headerTexts(headers: Headers): string[] {
  const { ethernet, arp, ipv4, transport } = headers;
  const texts: string[] = [];
  if (ethernet !== null)
    texts.push(`ethernet ${ethernet.source} > ${ethernet.destination} type 0x${word(ethernet.type)}`);
  if (arp !== null)
    texts.push(`arp operation ${arp.operation} sender ${arp.sender} ${arp.senderMac} target ${arp.target}`);
  if (ipv4 === null) return texts;
  const flags = `${ipv4.dontFragment ? " DF" : ""}${ipv4.moreFragments ? " MF" : ""}`;
  const offset = ipv4.fragmentUnits === 0 ? "" : ` offset ${ipv4.fragmentUnits * 8}`;
  texts.push(
    `ipv4 ${ipv4.source} > ${ipv4.destination} protocol ${ipv4.protocol} ttl ${ipv4.ttl} tos 0x${ipv4.tos.toString(16)} ` +
      `id ${ipv4.identification} length ${ipv4.length}${flags}${offset}`,
  );
  if (transport === null) return texts;
  if (headers.isIcmp) {
    const query = headers.isQuery ? ` id ${headers.identifier} seq ${headers.sequence}` : "";
    texts.push(`icmp type ${headers.icmpType} code ${headers.icmpCode}${query}`);
  } else if (headers.hasPorts) {
    const name = kindOf(headers).split(" ")[0]!.toLowerCase();
    const tcp = name === "tcp" ? ` sequence ${transport.second} flags ${tcpFlagNames(transport.flags).join(" ")}` : "";
    texts.push(`${name} ${headers.sourcePort} > ${headers.destinationPort}${tcp}`);
  }
  return texts;
}

/** A frame's bytes, 16 a line; none where nobody captured it. */
export function frameEntries(frame: CapturedFrame | null, time: number): Entry[] {
  const entries: Entry[] = [];
  const { bytes } = frame ?? { bytes: new Uint8Array() };
  for (let at = 0; at < bytes.length; at += PER_LINE) {
    const row = bytes.subarray(at, at + PER_LINE);
    const digits = Array.from(row, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = Array.from(row, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    const text = `        ${word(at)}  ${digits.padEnd(PER_LINE * 3 - 1)}  ${letters}`;
    entries.push({ namespace: "", subject: "", text, role: "bytes", time, raw: true });
  }
  return entries;
}

const word = (value: number): string => value.toString(16).padStart(4, "0");
