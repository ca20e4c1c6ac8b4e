import { formatIpv4 } from "../../../wire/address.ts";
import { PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP } from "../../../wire/ipv4.ts";
import type { NatRange } from "../../nat/range.ts";
import type { OptionSpec, Options, RuleScope } from "../extension.ts";
import { A_PORT, type PortRange, parsePort } from "../port.ts";
import { PROTOCOL_DCCP, PROTOCOL_SCTP } from "../protocol-name.ts";
import { part, type Token, unexpected } from "../tokenizer.ts";
import { parseInteger, readAddressRange } from "../value.ts";

/** The flags of NAT targets, in the order in which iptables prints them. */
const FLAGS = ["random", "random-fully", "persistent"] as const;
export type NatFlag = (typeof FLAGS)[number];

export const flagOptions = (...flags: readonly NatFlag[]): OptionSpec[] => flags.map((name) => ({ name, values: 0 }));

const WITH_PORTS = [PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP, PROTOCOL_DCCP, PROTOCOL_ICMP];

/** A range and how iptables prints it, both of one rule. */
export interface PrintedRange {
  readonly range: NatRange;
  /** The flags, each with its dashes. */
  readonly flags: string;
}

export function makeRange(
  options: Options,
  addresses: NatRange["addresses"],
  ports: PortRange | null,
  basePort: number | null = null,
): PrintedRange {
  const random = options.has("random-fully") ? "fully" : options.has("random") ? "random" : "no";
  const range: NatRange = { addresses, ports, random, persistent: options.has("persistent"), basePort };
  return {
    range,
    flags: FLAGS.filter((flag) => options.has(flag))
      .map((flag) => ` --${flag}`)
      .join(""),
  };
}

export function needPortProtocol(token: Token, scope: RuleScope): void {
  if (!WITH_PORTS.includes(scope.protocol))
    throw unexpected(
      token,
      "ports only in a rule with -p tcp, udp, sctp, dccp or icmp",
      "Need TCP, UDP, SCTP or DCCP with port specification",
    );
}

/** `80`, `http` or `80-90`. */
export function readPorts(token: Token): PortRange {
  const port = parsePort(token.text);
  if (port !== null) return { min: port, max: port };
  const dash = token.text.indexOf("-");
  if (dash < 0) throw unexpected(token, A_PORT, `Port \`${token.text}' not valid`);
  const min = readNumber(part(token, 0, dash));
  const max = readNumber(part(token, dash + 1));
  if (max < min) throw unexpected(token, "a port range whose first port is not above its last");
  return { min, max };
}

function readNumber(token: Token): number {
  const port = parseInteger(token.text);
  if (!(port >= 0 && port <= 0xffff))
    throw unexpected(token, "a port number (0-65535)", `Port \`${token.text}' not valid`);
  return port;
}

export const formatPorts = (ports: PortRange): string =>
  ports.min === ports.max ? `${ports.min}` : `${ports.min}-${ports.max}`;

export function readAddresses(token: Token): NatRange["addresses"] {
  return readAddressRange(token);
}

/** `1.1.1.1-1.1.1.9:80-90/8080` of SNAT and DNAT: every part but one may be missing. */
export function readRange(options: Options, name: string, scope: RuleScope, shift: boolean): PrintedRange {
  const token = options.need(name).values[0]!;
  const colon = token.text.indexOf(":");
  const addresses = colon === 0 ? null : readAddresses(colon < 0 ? token : part(token, 0, colon));
  if (colon < 0) return makeRange(options, addresses, null);
  needPortProtocol(token, scope);
  const slash = token.text.indexOf("/", colon);
  const ports = readPorts(part(token, colon + 1, slash < 0 ? undefined : slash));
  if (slash < 0) return makeRange(options, addresses, ports);
  const base = part(token, slash + 1);
  const port = parsePort(base.text);
  if (!shift || ports.min === ports.max)
    throw unexpected(
      base,
      "a base port only behind the port range of a DNAT",
      "Shifted portmap ranges not supported with this kernel",
    );
  if (port === null || port === 0)
    throw unexpected(base, "a base port (1-65535 or a service name)", `Port \`${base.text}' not valid`);
  return makeRange(options, addresses, ports, port);
}

export function formatRange({ addresses, ports, basePort }: NatRange): string {
  let text = "";
  if (addresses !== null) {
    text = formatIpv4(addresses.min);
    if (addresses.min !== addresses.max) text += `-${formatIpv4(addresses.max)}`;
  }
  if (ports !== null) text += `:${formatPorts(ports)}`;
  return basePort === null ? text : `${text}/${basePort}`;
}
