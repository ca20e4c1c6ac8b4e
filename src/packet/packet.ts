/**
 * A frame in flight, Linux's sk_buff. The Ethernet header always starts at byte FRAME and the network header at byte
 * NETWORK, so nothing is pushed or pulled and IPv4 headers are aligned:
 *
 *   0   2 FRAME          16 NETWORK        NETWORK + ihl*4              end        capacity
 *   |---|-- Ethernet ----|-- IPv4 / ARP ---|-- ICMP / UDP / TCP, data --|-- slack --|
 *
 * Fields that are objects belong to rooms below and are opaque here, as `skb->_nfct` and `skb->_skb_refdst` are.
 */
export const FRAME = 2;
export const NETWORK = 16;
/** Bytes behind `end` that may be read (never trusted): a header accessor on a truncated frame cannot leave the buffer. */
export const SLACK = 128;

/** Set in `vlan` beside the tag itself (`skb->vlan_present`). */
export const VLAN_PRESENT = 0x10000;

/** `skb->pkt_type`: whom the frame's destination MAC address means, seen from the device it arrived on. */
export type PacketType = "host" | "broadcast" | "multicast" | "otherhost" | "outgoing";

/** `enum ip_conntrack_info` plus what Linux spells as a null `_nfct`. */
export type ConnectionState =
  | "NONE"
  | "NEW"
  | "ESTABLISHED"
  | "RELATED"
  | "ESTABLISHED_REPLY"
  | "RELATED_REPLY"
  | "INVALID"
  | "UNTRACKED";

/** One of the fragments that a gathered datagram is made of (`skb_shinfo(skb)->frag_list`). */
export interface Fragment {
  /** Bytes of payload. */
  readonly length: number;
  /** Bytes of the IPv4 header that it came with, where another may be written. */
  readonly room: number;
  readonly shown: Shown[] | null;
}

/** A frame as a tap shows it, whose bytes are those of the packet until the tap is read. */
export interface Shown {
  readonly bytes: Uint8Array;
  /** Where the IPv4 payload starts. */
  payload: number;
}

export class Packet {
  bytes: Uint8Array;
  view: DataView;
  capacity: number;
  /** Offset behind the frame's last byte. */
  end = NETWORK;
  /** Unique in its world, from 1; names the packet in the trace. */
  id = 0;
  /** The packet this one was cloned from, answers or quotes; 0 for none. */
  parent = 0;
  type: PacketType = "host";
  /** Index of the device it arrived on last (`skb_iif`), 0 for a packet made here. */
  arrival = 0;
  /** Index of the device it is at (`skb->dev`). */
  device = 0;
  /** The VLAN tag that it came with, of which devices keep it apart, with VLAN_PRESENT; 0 for none. */
  vlan = 0;
  mark = 0;
  priority = 0;
  /** The conntrack entry (`skb->_nfct`). */
  connection: object | null = null;
  connectionState: ConnectionState = "NONE";
  /** It answers an untracked packet: no CT target touches it, although it belongs to no flow. */
  attached = false;
  /** Where routing sends it (`skb_dst`). */
  route: object | null = null;
  /** The gateway chosen together with `route`, 0 where the destination is on the link. */
  gateway = 0;
  /** What its IPv4 options ask of this host (`IPCB(skb)->opt`); null for a packet without any. */
  options: object | null = null;
  /** IPSKB_DOREDIRECT: the sender has a better way. */
  redirect = false;
  /** Length of the largest fragment this datagram was gathered from (`IPCB(skb)->frag_max_size`), 0 for none. */
  fragmentMax = 0;
  /** The largest of them said "don't fragment", and so do new ones (IPSKB_FRAG_PMTU). */
  fragmentDf = false;
  /** What it was gathered from or cut into in advance, in order, so that it can leave so; null where it has to be cut anew. */
  fragments: readonly Fragment[] | null = null;
  /** It may be cut although it says "don't fragment" (`skb->ignore_df`). */
  ignoreDf = false;
  /** Bytes of data in each of the TCP segments that the device will cut it into (`gso_size`); 0 for what is one frame. */
  segmentSize = 0;
  /** Earlier frames that share its bytes: of a later fragment, while taps share (`Capture.shares`). */
  shown: Shown[] | null = null;
  /** `nf_bridge_info`: bridge ports it came through while netfilter looks at a bridged frame; 0 for none. */
  bridgeIn = 0;
  bridgeOut = 0;
  /** Its IP PREROUTING has run inside the bridge. */
  bridgePrerouted = false;
  /** A DNAT turned it back into the bridge while the neighbour was unknown: source MAC to restore. */
  bridgeDnat = false;
  bridgeSourceHigh = 0;
  bridgeSourceLow = 0;
  /** Conntrack found its transport checksum right, here or on the way (`skb->csum_valid`). */
  checksumValid = false;
  /** CHECKSUM_PARTIAL: sent over lo, where nobody computes the transport checksum; a quote of it shows the pseudo header's sum. */
  partialChecksum = false;
  /** The socket that sent it, or that TPROXY gave it to (`skb->sk`). */
  socket: object | null = null;
  /** Who holds it: false once it is back in the pool. */
  live = false;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.bytes = new Uint8Array(capacity + SLACK);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Frame length in bytes, Ethernet header included. */
  get length(): number {
    return this.end - FRAME;
  }
}
