import type { FtpHelper } from "./ftp.ts";
import type { SctpTracking } from "./sctp-state.ts";
import type { SequenceShift } from "./sequence-adjust.ts";
import { TupleLink } from "./table.ts";
import type { TcpTracking } from "./tcp-state.ts";
import { DEFAULT_ZONE, type Zone } from "./zone.ts";

/** One direction of a flow (`struct nf_conntrack_tuple`). */
export class Tuple {
  source = 0;
  destination = 0;
  protocol = 0;
  /** Source port; for ICMP the identifier. */
  sourcePort = 0;
  /** Destination port; for ICMP type << 8 | code. */
  destinationPort = 0;

  set(source: number, destination: number, protocol: number, sourcePort: number, destinationPort: number): this {
    this.source = source;
    this.destination = destination;
    this.protocol = protocol;
    this.sourcePort = sourcePort;
    this.destinationPort = destinationPort;
    return this;
  }

  copy(from: Tuple): this {
    return this.set(from.source, from.destination, from.protocol, from.sourcePort, from.destinationPort);
  }

  equals(other: Tuple): boolean {
    return (
      this.source === other.source &&
      this.destination === other.destination &&
      this.sourcePort === other.sourcePort &&
      this.destinationPort === other.destinationPort &&
      this.protocol === other.protocol
    );
  }
}

/** Every bit of `enum ip_conntrack_events`. */
const ALL_EVENTS = 0xffff;

export type Direction = "original" | "reply";

/** A tracked flow (`struct nf_conn`). The booleans are the bits of `ct->status`. */
export class Connection {
  readonly original = new Tuple();
  readonly reply = new Tuple();
  /** Its two places in the table. */
  readonly originalLink = new TupleLink(this, this.original, 0);
  readonly replyLink = new TupleLink(this, this.reply, 1);

  seenReply = false;
  assured = false;
  confirmed = false;
  dying = false;
  expected = false;
  sourceNat = false;
  destinationNat = false;
  sourceNatDone = false;
  destinationNatDone = false;
  natClash = false;

  /** What changed since listeners heard last (`IPCT_*`). */
  readonly news = {
    created: false,
    reply: false,
    assured: false,
    state: false,
    mark: false,
    label: false,
    shrink: false,
  };

  /** `connmark`. */
  mark = 0;
  /** `connlabel`: 128 bits, where a rule named labels when the flow began. */
  labels: Uint32Array | null = null;
  zone: Zone = DEFAULT_ZONE;
  /** Which changes listeners hear of: bits of `enum ip_conntrack_events`. */
  events = ALL_EVENTS;
  /** A rule's pattern for new connections, which `-j CT` puts on a packet (`IPS_TEMPLATE`). */
  template = false;
  /** Virtual nanoseconds at which it ends; before confirmation, the length of its life. */
  expires = 0;
  /** When it was created, virtual nanoseconds. */
  readonly created: number;
  /** Its packets are counted: `nf_conntrack_acct` was on when it began. */
  accounted = false;
  /** Original, reply. */
  readonly packets = [0, 0];
  readonly bytes = [0, 0];
  /** The device whose address MASQUERADE took; 0 for none. */
  masqueradeDevice = 0;
  /** The state of TCP flows; null for others. */
  tcp: TcpTracking | null = null;
  /** The state of SCTP associations; null for others. */
  sctp: SctpTracking | null = null;
  /** Reads along for announced connections (`nfct_help()`). */
  helper: FtpHelper | null = null;
  /** Original, reply; null where NAT has changed the length of no packet. */
  shifts: [SequenceShift, SequenceShift] | null = null;
  /** For an entry that belongs to another, such as an FTP data flow. */
  master: Connection | null = null;

  constructor(
    /** Unique in its namespace, from 1. */
    readonly id: number,
    now: number,
  ) {
    this.created = now;
  }
}
