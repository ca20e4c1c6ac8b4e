import type { Device } from "../../link/device.ts";
import { type ConnectionState, NETWORK, type Packet } from "../../packet/packet.ts";
import { STEP, WORDS } from "../../trace/step.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as sctp from "../../wire/sctp.ts";
import * as tcp from "../../wire/tcp.ts";
import * as udp from "../../wire/udp.ts";
import { PROTOCOL_UDP_LITE } from "../../wire/udp-lite.ts";
import type { Namespace } from "../namespace.ts";
import { type HookUser, PRIORITY } from "../netfilter/hook-user.ts";
import type { Hook, Verdict } from "../netfilter/rule.ts";
import { Connection, Tuple } from "./connection.ts";
import { Expectations } from "./expectation.ts";
import { FtpHelper, helpFtp } from "./ftp.ts";
import type { Outcome } from "./outcome.ts";
import { startSctp, trackSctp } from "./sctp-tracker.ts";
import { adjustSequence } from "./sequence-adjust.ts";
import { ConnectionTable, type TupleLink } from "./table.ts";
import { validFlags } from "./tcp-state.ts";
import { startTcp, trackTcp } from "./tcp-tracker.ts";
import { invertTuple, readTuple } from "./tuple.ts";
import { DEFAULT_ZONE, type Zone, zoneIn } from "./zone.ts";

/** What `conntrack -E` prints. */
export type ConnectionEvent = "NEW" | "UPDATE" | "DESTROY";
/** Connections looked at for having ended, each time a new one is confirmed. */
const SWEEP = 4;
const LAST_ICMP_TYPE = 18;
const SECOND = 1e9;
/** A UDP flow is a stream once it has lasted this long. */
const STREAM_AGE = 2 * SECOND;

/** Bits of `enum ip_conntrack_events`. */
const EVENT = { new: 1, destroy: 4, reply: 8, assured: 16, state: 32, mark: 128, label: 1024 };
const LAST_ZONE = 0xffff;
const LABEL_WORDS = 4;

const STATES: readonly ConnectionState[] = WORDS.connectionState;
const CHANGES: readonly string[] = WORDS.connectionChange;

/** `ct->proto` of an ICMP message that may open a flow. */
const opensFlow = (type: number): boolean =>
  type === icmp.ECHO_REQUEST ||
  type === icmp.TIMESTAMP_REQUEST ||
  type === icmp.INFO_REQUEST ||
  type === icmp.ADDRESS_REQUEST;

/** Connection tracking of one namespace. On only while a rule needs it. */
export class Tracker {
  readonly table = new ConnectionTable();
  readonly expectations = new Expectations();
  /** Hears of every change, as `conntrack -E` does; null while nobody listens. */
  listener: ((event: ConnectionEvent, connection: Connection) => void) | null = null;
  private enabled = false;
  /** New flows can have labels (`net->ct.labels_used`). */
  labels = false;
  private lastId = 0;
  private readonly tuple = new Tuple();
  private readonly inverse = new Tuple();
  private readonly segment: { view: DataView; at: number; bytes: number };
  /** The zone of the packet in hand, and the template that names it. */
  private zone: Zone = DEFAULT_ZONE;
  private template: Connection | null = null;
  private sweeping: IterableIterator<Connection> | null = null;

  constructor(private readonly net: Namespace) {
    this.segment = { view: new DataView(new ArrayBuffer(0)), at: 0, bytes: 0 };
  }

  /** Entries outlive the last rule that needed them; they are just no longer looked at. */
  enable(on: boolean): void {
    this.enabled = on;
  }

  get active(): boolean {
    return this.enabled;
  }

  users(hook: Hook): HookUser[] {
    const { net } = this;
    if (hook === "prerouting" || hook === "output") {
      return [{ priority: PRIORITY.conntrack, run: (packet) => this.track(packet, hook) }];
    }
    if (hook === "forward") return [];
    return [
      {
        priority: PRIORITY.confirm,
        run: (packet) => (packet.connection === null ? "ACCEPT" : net.tracker.leave(packet)),
      },
    ];
  }

  /** Fragments are gathered on these hooks for what must see whole datagrams (`nf_defrag_ipv4_enable()`). */
  gatherers(hook: Hook): HookUser[] {
    if (hook !== "prerouting" && hook !== "output") return [];
    return [{ priority: PRIORITY.defrag, run: (packet, input) => this.gather(packet, input, hook) }];
  }

  /** `ipv4_conntrack_defrag()`. */
  private gather(packet: Packet, input: Device | null, hook: Hook): Verdict {
    if (!ipv4.isFragment(packet.view, NETWORK) || packet.connectionState === "UNTRACKED") return "ACCEPT";
    const device = input === null ? null : (this.net.inDevices.get(input.index) ?? null);
    const user = hook === "output" ? "conntrack out" : packet.bridgeIn !== 0 ? "bridge" : "conntrack in";
    return this.net.reassembly.add(packet, device, user) ? "ACCEPT" : "STOLEN";
  }

  /** `nf_conntrack_in()`. Never drops what it does not understand: that is INVALID, for rules to judge. */
  track(packet: Packet, hook: Hook): Verdict {
    if (packet.connectionState === "UNTRACKED") return "ACCEPT";
    const template = packet.connection as Connection | null;
    if (template !== null) {
      if (!template.template) return "ACCEPT";
      packet.connection = null;
    }
    this.begin(packet, template);
    const { view } = packet;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    packet.connectionState = "INVALID";
    if (!readTuple(view, NETWORK, packet.end, this.tuple)) return this.seen(packet, null);
    const { protocol } = this.tuple;
    const verify = hook === "prerouting" && this.net.sysctls.get("net.netfilter.nf_conntrack_checksum") !== 0;
    if (protocol === ipv4.PROTOCOL_ICMP) {
      const length = packet.end - at;
      const type = icmp.type(view, at);
      if (verify) {
        packet.checksumValid = icmp.isValid(view, at, length);
        if (!packet.checksumValid) return this.seen(packet, null);
      }
      if (type > LAST_ICMP_TYPE) return this.seen(packet, null);
      if (icmp.isError(type)) return this.relate(packet, at);
    } else if (!this.sane(packet, at, protocol, verify)) return this.seen(packet, null);
    return this.resolve(packet, at, protocol);
  }

  /** What `-j CT` said of this packet holds for its flow (`nf_ct_zone_tmpl()`). */
  private begin(packet: Packet, template: Connection | null): void {
    this.template = template;
    const zone = template === null ? DEFAULT_ZONE : template.zone;
    this.zone = zone.fromMark ? { ...zone, id: packet.mark & LAST_ZONE } : zone;
  }

  /** `tcp_error()`, `udp_error()`: false for a datagram that no flow can own. */
  private sane(packet: Packet, at: number, protocol: number, verify: boolean): boolean {
    const { view } = packet;
    const bytes = packet.end - at;
    const source = ipv4.source(view, NETWORK);
    const destination = ipv4.destination(view, NETWORK);
    if (protocol === ipv4.PROTOCOL_UDP) {
      if (bytes < udp.UDP_HEADER) return false;
      const length = udp.length(view, at);
      if (length < udp.UDP_HEADER || length > bytes) return false;
      if (!verify) return true;
      packet.checksumValid = udp.checksumField(view, at) !== 0 && udp.isValid(view, at, bytes, source, destination);
      return packet.checksumValid || udp.checksumField(view, at) === 0;
    }
    // Measured: Linux 6.18 calls every UDP-Lite datagram INVALID, a right checksum notwithstanding.
    if (protocol === PROTOCOL_UDP_LITE) return false;
    if (protocol === sctp.PROTOCOL_SCTP) return bytes >= sctp.SCTP_HEADER && (!verify || sctp.isValid(view, at, bytes));
    if (protocol !== ipv4.PROTOCOL_TCP) return true;
    if (bytes < tcp.TCP_HEADER) return false;
    const header = tcp.headerLength(view, at);
    if (header < tcp.TCP_HEADER || header > bytes) return false;
    if (verify) {
      packet.checksumValid = tcp.isValid(view, at, bytes, source, destination);
      if (!packet.checksumValid) return false;
    }
    return validFlags(tcp.flags(view, at));
  }

  /** `nf_conntrack_inet_error()`: an ICMP error belongs to the flow that it quotes. */
  private relate(packet: Packet, at: number): Verdict {
    const { view } = packet;
    if (!readTuple(view, at + icmp.ICMP_HEADER, packet.end, this.tuple)) return this.seen(packet, null);
    if (!invertTuple(this.tuple, this.inverse)) return this.seen(packet, null);
    const link = this.lookup(this.inverse, this.zone);
    if (link === null || link.tuple.destination !== ipv4.destination(view, NETWORK)) return this.seen(packet, null);
    packet.connection = link.connection;
    packet.connectionState = link.direction === 1 ? "RELATED_REPLY" : "RELATED";
    return this.seen(packet, link.connection);
  }

  /** `resolve_normal_ct()` and the protocol's own view of the packet. */
  private resolve(packet: Packet, at: number, protocol: number): Verdict {
    for (;;) {
      const link = this.lookup(this.tuple, this.zone);
      const direction = link === null ? 0 : link.direction;
      const connection = link === null ? this.create(packet, at, protocol) : link.connection;
      if (connection === null) return this.seen(packet, null);
      if (connection === "full") return "DROP";
      const outcome = this.advance(packet, connection, direction, at, protocol);
      if (outcome === "again") continue;
      if (outcome === "invalid") return this.seen(packet, null);
      packet.connection = connection;
      packet.connectionState =
        direction === 1
          ? "ESTABLISHED_REPLY"
          : connection.seenReply
            ? "ESTABLISHED"
            : connection.expected
              ? "RELATED"
              : "NEW";
      if (direction === 1 && !connection.seenReply) {
        connection.seenReply = true;
        connection.news.reply = true;
      }
      return this.seen(packet, connection);
    }
  }

  /** `init_conntrack()`: null when nothing may start with this packet. */
  private create(packet: Packet, at: number, protocol: number): Connection | "full" | null {
    if (!invertTuple(this.tuple, this.inverse)) return null;
    const { net } = this;
    if (this.table.size >= net.sysctls.get("net.netfilter.nf_conntrack_max") && !this.makeRoom()) return "full";
    const connection = new Connection(++this.lastId, net.fabric.scheduler.now);
    connection.original.copy(this.tuple);
    connection.reply.copy(this.inverse);
    connection.zone = this.zone;
    connection.accounted = net.sysctls.get("net.netfilter.nf_conntrack_acct") !== 0;
    if (this.labels) connection.labels = new Uint32Array(LABEL_WORDS);
    if (this.template !== null) connection.events = this.template.events;
    const now = net.fabric.scheduler.now;
    const expected = this.expectations.size === 0 ? null : this.expectations.take(this.tuple, this.zone, now);
    if (expected !== null) {
      connection.expected = true;
      connection.master = expected.master;
      connection.mark = expected.master.mark;
    } else if (this.template !== null && this.template.helper !== null) connection.helper = new FtpHelper();
    if (protocol === ipv4.PROTOCOL_TCP) {
      connection.tcp = startTcp(this.segmentOf(packet, at), net.sysctls);
      if (connection.tcp === null) return null;
    } else if (protocol === sctp.PROTOCOL_SCTP) {
      connection.sctp = startSctp(this.segmentOf(packet, at));
      if (connection.sctp === null) return null;
    } else if (protocol === ipv4.PROTOCOL_ICMP && !opensFlow(icmp.type(packet.view, at))) return null;
    if (expected !== null && expected.follow !== null) net.nat.follow(packet, connection, expected.follow);
    return connection;
  }

  private segmentOf(packet: Packet, at: number) {
    const { segment } = this;
    segment.view = packet.view;
    segment.at = at;
    segment.bytes = packet.end - at;
    return segment;
  }

  /** `nf_conntrack_handle_packet()`. */
  private advance(
    packet: Packet,
    connection: Connection,
    direction: 0 | 1,
    at: number,
    protocol: number,
  ): "ok" | "invalid" | "again" {
    const { sysctls } = this.net;
    if (connection.tcp !== null)
      return this.obey(
        packet,
        connection,
        direction,
        trackTcp(connection, direction, this.segmentOf(packet, at), sysctls),
      );
    if (connection.sctp !== null)
      return this.obey(
        packet,
        connection,
        direction,
        trackSctp(connection, direction, this.segmentOf(packet, at), sysctls),
      );
    if (protocol === ipv4.PROTOCOL_UDP) this.advanceUdp(packet, connection, direction);
    else if (protocol === ipv4.PROTOCOL_ICMP)
      this.refresh(packet, connection, direction, sysctls.get("net.netfilter.nf_conntrack_icmp_timeout"));
    else if (protocol === 47) {
      if (connection.seenReply && !connection.assured && !connection.natClash) {
        connection.assured = true;
        connection.news.assured = true;
      }
      const key = connection.seenReply
        ? "net.netfilter.nf_conntrack_gre_timeout_stream"
        : "net.netfilter.nf_conntrack_gre_timeout";
      this.refresh(packet, connection, direction, sysctls.get(key));
    } else this.refresh(packet, connection, direction, sysctls.get("net.netfilter.nf_conntrack_generic_timeout"));
    return "ok";
  }

  private obey(packet: Packet, connection: Connection, direction: 0 | 1, outcome: Outcome): "ok" | "invalid" | "again" {
    switch (outcome.kind) {
      case "refresh":
        this.refresh(packet, connection, direction, outcome.seconds);
        return "ok";
      case "keep":
        return "ok";
      case "kill":
        this.account(packet, connection, direction);
        this.destroy(connection);
        return "ok";
      case "reopen":
        this.destroy(connection);
        return "again";
      case "invalid":
        if (connection.news.shrink) this.shrink(connection);
        return "invalid";
    }
  }

  private shrink(connection: Connection): void {
    connection.news.shrink = false;
    const limit = this.net.sysctls.get("net.netfilter.nf_conntrack_tcp_timeout_unacknowledged") * SECOND;
    const left = connection.expires - this.net.fabric.scheduler.now;
    if (left >= 120 * SECOND && left > limit) connection.expires = this.net.fabric.scheduler.now + limit;
  }

  private advanceUdp(packet: Packet, connection: Connection, direction: 0 | 1): void {
    const { sysctls } = this.net;
    let seconds = sysctls.get("net.netfilter.nf_conntrack_udp_timeout");
    if (connection.seenReply) {
      const stream = this.net.fabric.scheduler.now > connection.created + STREAM_AGE;
      if (stream) seconds = sysctls.get("net.netfilter.nf_conntrack_udp_timeout_stream");
      if (stream && !connection.assured && !connection.natClash) {
        connection.assured = true;
        connection.news.assured = true;
      }
    }
    this.refresh(packet, connection, direction, seconds);
  }

  /** `__nf_ct_refresh_acct()`. */
  private refresh(packet: Packet, connection: Connection, direction: 0 | 1, seconds: number): void {
    connection.expires = seconds * SECOND + (connection.confirmed ? this.net.fabric.scheduler.now : 0);
    this.account(packet, connection, direction);
  }

  /** `nf_ct_acct_update()`. */
  private account(packet: Packet, connection: Connection, direction: 0 | 1): void {
    if (!connection.accounted) return;
    connection.packets[direction]!++;
    connection.bytes[direction]! += packet.end - NETWORK;
  }

  private seen(packet: Packet, connection: Connection | null): "ACCEPT" {
    this.record("find", packet, connection);
    return "ACCEPT";
  }

  private record(change: string, packet: Packet | null, connection: Connection | null): void {
    const { trace } = this.net.fabric;
    if (trace === null) return;
    const state = packet === null ? 0 : STATES.indexOf(packet.connectionState);
    const number = CHANGES.indexOf(change);
    trace.step(STEP.conntrack, packet?.id ?? 0, this.net.place, number, state, connection?.id ?? 0);
  }

  /** The live entry of a tuple; one that has run out ends here. */
  lookup(tuple: Tuple, zone: Zone): TupleLink | null {
    return this.alive(this.table.find(tuple, zone));
  }

  /** The live entry that holds a tuple in the zone of one direction. */
  lookupIn(tuple: Tuple, zone: Zone, direction: 0 | 1): TupleLink | null {
    return this.alive(this.table.findIn(tuple, zone, zoneIn(zone, direction)));
  }

  private alive(link: TupleLink | null): TupleLink | null {
    if (link === null || link.connection.expires > this.net.fabric.scheduler.now) return link;
    this.destroy(link.connection);
    return null;
  }

  /** `nf_confirm()`: the helper of the flow reads the packet, and NAT's changes of length are made good. */
  private leave(packet: Packet): Verdict {
    const connection = packet.connection as Connection;
    const adjusts = connection.shifts !== null;
    const state = packet.connectionState;
    if ((connection.helper !== null || adjusts) && state !== "RELATED_REPLY") {
      if (connection.helper !== null && helpFtp(packet, connection, this.net) === "DROP") return "DROP";
      if (adjusts) adjustSequence(packet, connection, state === "ESTABLISHED_REPLY" ? 1 : 0);
    }
    return this.confirm(packet);
  }

  /** The flow of a packet that leaves is real, and listeners hear what is new of it. */
  confirm(packet: Packet): Verdict {
    if (this.insert(packet) === "DROP") return "DROP";
    const connection = packet.connection as Connection;
    const { news } = connection;
    if (!connection.confirmed || connection.dying || this.listener === null) return "ACCEPT";
    if (news.created) this.tell("NEW", connection, EVENT.new);
    else if (news.reply || news.assured || news.state || news.mark || news.label) this.tell("UPDATE", connection, 0);
    else return "ACCEPT";
    this.forgetNews(connection);
    return "ACCEPT";
  }

  /** `__nf_conntrack_confirm()`: enters the packet's flow into the table, and tells nobody yet. */
  insert(packet: Packet): Verdict {
    const connection = packet.connection as Connection;
    if (connection.confirmed) return "ACCEPT";
    if (
      packet.connectionState === "RELATED_REPLY" ||
      packet.connectionState === "ESTABLISHED_REPLY" ||
      connection.dying
    )
      return "ACCEPT";
    const { original, reply, zone } = connection;
    if (this.lookupIn(original, zone, 0) !== null || this.lookupIn(reply, zone, 1) !== null) return "DROP";
    this.sweep();
    connection.confirmed = true;
    connection.expires += this.net.fabric.scheduler.now;
    connection.news.created = true;
    this.table.insert(connection);
    this.net.nat.remember(connection);
    this.record("confirm", packet, connection);
    return "ACCEPT";
  }

  /** `nf_conntrack_eventmask_report()`: unless a rule's `--ctevents` leaves out all of what happened. */
  private tell(event: ConnectionEvent, connection: Connection, own: number): void {
    if (this.listener === null) return;
    const { reply, assured, state, mark, label } = connection.news;
    const more =
      (reply ? EVENT.reply : 0) |
      (assured ? EVENT.assured : 0) |
      (state ? EVENT.state : 0) |
      (mark ? EVENT.mark : 0) |
      (label ? EVENT.label : 0);
    const happened = event === "DESTROY" ? own : own | more;
    if ((happened & connection.events) !== 0) this.listener(event, connection);
  }

  private forgetNews({ news }: Connection): void {
    news.created = news.reply = news.assured = news.state = news.mark = news.label = false;
  }

  /** `nf_conntrack_tcp_set_closing()`: the flow of a segment that REJECT resets is over. */
  close({ connection: flow }: Packet): void {
    const connection = flow as Connection | null;
    if (connection === null || connection.tcp === null || !connection.confirmed) return;
    if (connection.tcp.state === "CLOSE") return;
    connection.tcp.state = "CLOSE";
    connection.news.state = true;
    const seconds = this.net.sysctls.get("net.netfilter.nf_conntrack_tcp_timeout_close");
    connection.expires = this.net.fabric.scheduler.now + seconds * SECOND;
  }

  /** `nf_ct_delete()`. */
  destroy(connection: Connection): void {
    if (connection.dying) return;
    connection.dying = true;
    this.expectations.forget(connection);
    if (!connection.confirmed) return;
    this.table.remove(connection);
    this.net.nat.forget(connection);
    this.record("destroy", null, connection);
    this.tell("DESTROY", connection, EVENT.destroy);
  }

  /** Ends what has run out. */
  collect(): void {
    const now = this.net.fabric.scheduler.now;
    for (const connection of [...this.table]) if (connection.expires <= now) this.destroy(connection);
  }

  /** `conntrack -F`, or `-D` for the flows that `gone` says yes to. */
  flush(gone: (connection: Connection) => boolean = () => true): void {
    for (const connection of [...this.table]) if (gone(connection)) this.destroy(connection);
  }

  /** A few entries at a time, so that a table that only grows still forgets. */
  private sweep(): void {
    const now = this.net.fabric.scheduler.now;
    for (let i = 0; i < SWEEP; i++) {
      this.sweeping ??= this.table[Symbol.iterator]();
      const { done, value } = this.sweeping.next();
      if (done === true) {
        this.sweeping = null;
        return;
      }
      if (value.expires <= now) this.destroy(value);
    }
  }

  /** `early_drop()`: a full table gives up a flow that was never assured. */
  private makeRoom(): boolean {
    this.collect();
    if (this.table.size < this.net.sysctls.get("net.netfilter.nf_conntrack_max")) return true;
    for (const connection of this.table)
      if (!connection.assured) {
        this.destroy(connection);
        return true;
      }
    return false;
  }
}
