import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { OperandsOf } from "./operand.ts";
import type { Step } from "./trace.ts";

/** What a packet looks like at one step: its headers at birth, and every change since. */
export class Headers {
  /** Null before the packet has an Ethernet header. */
  ethernet: { readonly destination: string; readonly source: string; readonly type: number } | null = null;
  arp: OperandsOf<"arp"> | null = null;
  ipv4: OperandsOf<"ipv4"> | null = null;
  /** The first bytes behind the IPv4 header; null for later fragments. */
  transport: OperandsOf<"transport"> | null = null;
  /** Netfilter's mark. */
  mark = 0;

  apply(step: Step): void {
    switch (step.kind) {
      case "ethernet":
        this.ethernet = { destination: step.destination, source: step.source, type: step.type };
        break;
      case "arp":
        this.arp = step;
        break;
      case "ipv4":
        this.ipv4 = step;
        this.transport = null;
        break;
      case "transport":
        this.transport = step;
        break;
      case "tx":
        this.ethernet = { destination: step.destination, source: step.source, type: this.etherType };
        break;
      case "readdress":
        if (this.ethernet !== null) this.ethernet = { ...this.ethernet, destination: step.destination };
        break;
      case "hook":
        // The step has the lower 27 bits of the mark.
        if ((this.mark & 0x7ffffff) !== step.mark) this.mark = step.mark;
        break;
      case "set":
        this.set(step.field, step.to);
        break;
      case "rewrite":
        if (step.layer === "packet") this.rewrite(step.manip, step.to, step.toPort);
        break;
    }
  }

  private get etherType(): number {
    return this.ethernet?.type ?? (this.arp !== null ? 0x0806 : this.ipv4 !== null ? 0x0800 : 0);
  }

  private set(field: string, to: number): void {
    if (field === "mark") this.mark = to >>> 0;
    else if (this.ipv4 !== null && field === "ttl") this.ipv4 = { ...this.ipv4, ttl: to };
    else if (this.ipv4 !== null && field === "tos") this.ipv4 = { ...this.ipv4, tos: to };
  }

  private rewrite(manip: "source" | "destination", address: string, port: number): void {
    if (this.ipv4 === null) return;
    this.ipv4 = { ...this.ipv4, [manip]: address };
    if (this.transport === null) return;
    const { first, second } = this.transport;
    if (this.isIcmp) {
      if (this.isQuery) this.transport = { ...this.transport, second: ((port << 16) | (second & 0xffff)) >>> 0 };
    } else if (this.hasPorts) {
      const ports = manip === "source" ? (port << 16) | (first & 0xffff) : (first & 0xffff0000) | port;
      this.transport = { ...this.transport, first: ports >>> 0 };
    }
  }

  get isIcmp(): boolean {
    return this.ipv4?.protocol === ipv4.PROTOCOL_ICMP;
  }

  /** UDP, TCP, SCTP, DCCP and UDP-Lite begin with their ports. */
  get hasPorts(): boolean {
    const protocol = this.ipv4?.protocol;
    return this.transport !== null && protocol !== undefined && [6, 17, 33, 132, 136].includes(protocol);
  }

  get sourcePort(): number {
    return (this.transport?.first ?? 0) >>> 16;
  }

  get destinationPort(): number {
    return (this.transport?.first ?? 0) & 0xffff;
  }

  get icmpType(): number {
    return (this.transport?.first ?? 0) >>> 24;
  }

  get icmpCode(): number {
    return ((this.transport?.first ?? 0) >>> 16) & 255;
  }

  /** An ICMP message with an identifier. */
  get isQuery(): boolean {
    return this.transport !== null && this.isIcmp && icmp.isQuery(this.icmpType);
  }

  get identifier(): number {
    return (this.transport?.second ?? 0) >>> 16;
  }

  get sequence(): number {
    return (this.transport?.second ?? 0) & 0xffff;
  }
}
