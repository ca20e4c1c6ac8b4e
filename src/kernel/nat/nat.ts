import type { Device } from "../../link/device.ts";
import { NETWORK, type Packet } from "../../packet/packet.ts";
import { STEP } from "../../trace/step.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import { type Connection, Tuple } from "../conntrack/connection.ts";
import { invertTuple } from "../conntrack/tuple.ts";
import { zoneIn } from "../conntrack/zone.ts";
import { pull } from "../fragment.ts";
import type { Namespace } from "../namespace.ts";
import { type HookUser, PRIORITY } from "../netfilter/hook-user.ts";
import type { Hook, Verdict } from "../netfilter/rule.ts";
import { chooseAddress } from "./address-choice.ts";
import { choosePort } from "./port-choice.ts";
import type { Manip, NatRange } from "./range.ts";
import { type Endpoint, headersEnd, rewrite } from "./rewrite.ts";

/** `NF_NAT_HARDER_THRESH`: attempts left from which on closed flows may be evicted. */
const HARDER = 32;

const manipOf = (hook: Hook): Manip => (hook === "postrouting" || hook === "input" ? "source" : "destination");
const isReply = (packet: Packet): boolean =>
  packet.connectionState === "ESTABLISHED_REPLY" || packet.connectionState === "RELATED_REPLY";

const inRange = (value: number, range: { min: number; max: number }): boolean =>
  value >>> 0 >= range.min >>> 0 && value >>> 0 <= range.max >>> 0;

/** `nf_in_range()`: is the source of this tuple one that the range allows? */
function allows(range: NatRange, tuple: Tuple): boolean {
  if (range.addresses !== null && !inRange(tuple.source, range.addresses)) return false;
  return range.ports === null || inRange(tuple.sourcePort, range.ports);
}

/** Network address translation of one namespace: fixes the mapping of each flow once, then rewrites its packets. */
export class Nat {
  /** Confirmed connections by their original source, newest last (`nat_bysource`). */
  private readonly bySource = new Map<number, Connection[]>();
  private readonly reply = new Tuple();
  private readonly endpoint: Endpoint = { address: 0, port: 0 };

  constructor(private readonly net: Namespace) {}

  /** What stands on a hook while a nat table is loaded; `rules` is null where the table has no chain for it. */
  user(hook: Hook, rules: HookUser | null): HookUser {
    const manip = manipOf(hook);
    const priority = manip === "source" ? PRIORITY.natSource : PRIORITY.natDestination;
    return { priority, run: (packet, input, output) => this.run(packet, hook, manip, rules, input, output) };
  }

  /** `nf_nat_inet_fn()`, and the rerouting that a new destination asks for. */
  private run(
    packet: Packet,
    hook: Hook,
    manip: Manip,
    rules: HookUser | null,
    input: Device | null,
    output: Device | null,
  ): Verdict {
    const connection = packet.connection as Connection | null;
    if (connection === null) return "ACCEPT";
    const destination = ipv4.destination(packet.view, NETWORK);
    const state = packet.connectionState;
    if (state === "RELATED" || state === "RELATED_REPLY") {
      if (ipv4.protocol(packet.view, NETWORK) === ipv4.PROTOCOL_ICMP) {
        if (!this.translateError(packet, connection, manip)) return "DROP";
        return this.reroute(packet, hook, destination);
      }
    }
    if (state === "NEW" || state === "RELATED" || state === "RELATED_REPLY") {
      const done = manip === "source" ? connection.sourceNatDone : connection.destinationNatDone;
      if (!done) {
        const verdict = rules === null ? "ACCEPT" : rules.run(packet, input, output);
        if (verdict !== "ACCEPT") return verdict;
        const bound = manip === "source" ? connection.sourceNatDone : connection.destinationNatDone;
        if (!bound && this.bindNothing(packet, connection, manip) === "DROP") return "DROP";
      } else if (this.movedAway(packet, connection, hook, output)) return "DROP";
    } else if (this.movedAway(packet, connection, hook, output)) return "DROP";
    if (!this.translate(packet, connection, manip)) return "DROP";
    return this.reroute(packet, hook, destination);
  }

  /** `nf_nat_oif_changed()`: a masqueraded flow must not leave by another device. */
  private movedAway(packet: Packet, connection: Connection, hook: Hook, output: Device | null): boolean {
    if (hook !== "postrouting" || connection.masqueradeDevice === 0 || isReply(packet)) return false;
    if (output === null || output.index === connection.masqueradeDevice) return false;
    this.net.tracker.destroy(connection);
    return true;
  }

  /** A new destination means a new route: forgotten before routing, looked up again behind it. */
  private reroute(packet: Packet, hook: Hook, destination: number): Verdict {
    if (ipv4.destination(packet.view, NETWORK) === destination) return "ACCEPT";
    if (hook === "prerouting") packet.route = null;
    else if (hook === "output" && !this.net.rerouteOutput(packet)) return "DROP";
    return "ACCEPT";
  }

  /** `nf_nat_setup_info()`: fixes one end of a flow's mapping within `range`. */
  setup(packet: Packet, connection: Connection, range: NatRange, manip: Manip): "ACCEPT" | "DROP" {
    if (connection.confirmed) return "ACCEPT";
    const current = new Tuple();
    const chosen = new Tuple();
    invertTuple(connection.reply, current);
    this.chooseTuple(connection, current, chosen, range, manip);
    if (!chosen.equals(current)) {
      invertTuple(chosen, connection.reply);
      if (manip === "source") connection.sourceNat = true;
      else connection.destinationNat = true;
      const { trace } = this.net.fabric;
      if (trace !== null) {
        if (manip === "source")
          trace.step(
            STEP.bind,
            packet.id,
            this.net.place,
            0,
            current.source,
            chosen.source,
            current.sourcePort,
            chosen.sourcePort,
          );
        else
          trace.step(
            STEP.bind,
            packet.id,
            this.net.place,
            1,
            current.destination,
            chosen.destination,
            current.destinationPort,
            chosen.destinationPort,
          );
      }
    }
    if (manip === "source") connection.sourceNatDone = true;
    else connection.destinationNatDone = true;
    return "ACCEPT";
  }

  /** `nf_nat_follow_master()`: an expected connection is mapped as the one that announced it. */
  follow(packet: Packet, connection: Connection, { direction, port }: { direction: 0 | 1; port: number }): void {
    const { original, reply } = connection.master!;
    const { source, destination } = direction === 0 ? reply : original;
    const range = (address: number, ports: NatRange["ports"]): NatRange => ({
      addresses: { min: address, max: address },
      ports,
      random: "no",
      persistent: false,
      basePort: null,
    });
    this.setup(packet, connection, range(destination, null), "source");
    this.setup(packet, connection, range(source, { min: port, max: port }), "destination");
  }

  /** `__nf_nat_alloc_null_binding()`: no rule wants anything, and still the tuple must be unique. */
  private bindNothing(packet: Packet, connection: Connection, manip: Manip): "ACCEPT" | "DROP" {
    const address = manip === "source" ? connection.reply.destination : connection.reply.source;
    const range: NatRange = {
      addresses: { min: address, max: address },
      ports: null,
      random: "no",
      persistent: false,
      basePort: null,
    };
    return this.setup(packet, connection, range, manip);
  }

  /** `get_unique_tuple()`. */
  private chooseTuple(connection: Connection, current: Tuple, into: Tuple, range: NatRange, manip: Manip): void {
    const isTaken = (tuple: Tuple) => this.isTaken(connection, tuple);
    into.copy(current);
    if (manip === "source" && range.random === "no") {
      if (allows(range, current)) {
        if (!isTaken(current)) return;
      } else if (this.reuseMapping(connection, current, into, range) && !isTaken(into)) return;
    }
    into.copy(current);
    if (range.addresses !== null) {
      const address = chooseAddress(range.addresses, current.source, current.destination, range.persistent);
      if (manip === "source") into.source = address;
      else into.destination = address;
    }
    if (range.random === "no") {
      if (range.ports === null) {
        if (!isTaken(into)) return;
      } else if (range.basePort === null) {
        const port = manip === "source" || into.protocol === 1 ? into.sourcePort : into.destinationPort;
        if (inRange(port, range.ports) && (range.ports.min === range.ports.max || !isTaken(into))) return;
      }
    }
    choosePort(into, manip, range, this.net.random, (tuple, left) => this.isTakenFor(connection, tuple, left));
  }

  /** `nf_nat_used_tuple()`: would the answers to this tuple be mistaken for another flow's packets? */
  /** `nf_nat_used_tuple_harder()`: near the end of a search a new SYN evicts a closed flow whose sequence it has passed. */
  private isTakenFor(connection: Connection, tuple: Tuple, attemptsLeft: number): boolean {
    if (!this.isTaken(connection, tuple)) return false;
    const { tcp } = connection;
    if (attemptsLeft > HARDER || tcp === null || tcp.state !== "SYN_SENT") return true;
    const link = this.net.tracker.lookupIn(this.reply, connection.zone, 1);
    const old = link?.connection.tcp ?? null;
    if (link === null || old === null || link.direction === 0) return true;
    if (old.state !== "TIME_WAIT" && old.state !== "CLOSE") return true;
    if (((tcp.sides[0].end - old.sides[0].end) | 0) <= 0) return true;
    this.net.tracker.destroy(link.connection);
    return false;
  }

  private isTaken({ zone }: Connection, tuple: Tuple): boolean {
    return !invertTuple(tuple, this.reply) || this.net.tracker.lookupIn(this.reply, zone, 1) !== null;
  }

  /** `find_appropriate_src()`: the mapping that this source already has, newest first. */
  private reuseMapping({ zone: own }: Connection, current: Tuple, into: Tuple, range: NatRange): boolean {
    const known = this.bySource.get(sourceKey(current));
    if (known === undefined) return false;
    for (let i = known.length - 1; i >= 0; i--) {
      const { original, reply, expires, zone } = known[i]!;
      if (
        original.source !== current.source ||
        original.sourcePort !== current.sourcePort ||
        original.protocol !== current.protocol ||
        zoneIn(zone, 0) !== zoneIn(own, 0)
      )
        continue;
      if (expires <= this.net.fabric.scheduler.now) continue;
      invertTuple(reply, into);
      into.destination = current.destination;
      into.destinationPort = current.destinationPort;
      if (allows(range, into)) return true;
    }
    return false;
  }

  /** A confirmed connection whose source may be asked for again. */
  remember(connection: Connection): void {
    if (!connection.sourceNatDone) return;
    const key = sourceKey(connection.original);
    const known = this.bySource.get(key);
    if (known === undefined) this.bySource.set(key, [connection]);
    else known.push(connection);
  }

  forget(connection: Connection): void {
    const key = sourceKey(connection.original);
    const known = this.bySource.get(key);
    if (known === undefined) return;
    const slot = known.indexOf(connection);
    if (slot >= 0) known.splice(slot, 1);
    if (known.length === 0) this.bySource.delete(key);
  }

  /** True when packets of this direction have this end changed. */
  private changes(packet: Packet, connection: Connection, manip: Manip): boolean {
    return (manip === "source") !== isReply(packet) ? connection.sourceNat : connection.destinationNat;
  }

  /** The end that packets of this direction must show: the other direction's, turned round. */
  private target(packet: Packet, connection: Connection, manip: Manip): Endpoint {
    const other = isReply(packet) ? connection.original : connection.reply;
    const { endpoint } = this;
    endpoint.address = manip === "source" ? other.destination : other.source;
    if (other.protocol === ipv4.PROTOCOL_ICMP) endpoint.port = other.sourcePort;
    else endpoint.port = manip === "source" ? other.destinationPort : other.sourcePort;
    return endpoint;
  }

  /** `nf_nat_packet()`: false for a packet too short to be translated. */
  private translate(packet: Packet, connection: Connection, manip: Manip): boolean {
    if (!this.changes(packet, connection, manip)) return true;
    const to = this.target(packet, connection, manip);
    const { trace } = this.net.fabric;
    if (trace !== null) this.record(packet, NETWORK, manip, to, 0);
    pull(packet, headersEnd(packet.view, NETWORK, packet.end));
    return rewrite(packet.view, NETWORK, packet.end, manip, to);
  }

  private record(packet: Packet, at: number, manip: Manip, to: Endpoint, layer: number): void {
    const { view } = packet;
    const from = manip === "source" ? ipv4.source(view, at) : ipv4.destination(view, at);
    const transport = at + ipv4.headerLength(view, at);
    const protocol = ipv4.protocol(view, at);
    const portAt = protocol === ipv4.PROTOCOL_ICMP ? transport + 4 : transport + (manip === "source" ? 0 : 2);
    const port = packet.end - portAt >= 2 ? view.getUint16(portAt) : 0;
    const number = manip === "source" ? 0 : 1;
    this.net.fabric.trace!.step(
      STEP.rewrite,
      packet.id,
      this.net.place,
      number,
      from,
      to.address,
      (port << 16) | to.port,
      layer,
    );
  }

  /** `nf_nat_icmp_reply_translation()`: the error and the packet that it quotes. False drops it. */
  private translateError(packet: Packet, connection: Connection, manip: Manip): boolean {
    const { view } = packet;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    const length = packet.end - at;
    if (!icmp.isValid(view, at, length)) return false;
    if (icmp.type(view, at) === icmp.REDIRECT) {
      if (!connection.sourceNatDone || !connection.destinationNatDone) return false;
      if (connection.sourceNat || connection.destinationNat) return false;
    }
    if (!this.changes(packet, connection, manip)) return true;
    const reply = isReply(packet);
    const quoted = at + icmp.ICMP_HEADER;
    pull(packet, headersEnd(view, quoted, packet.end));
    const { trace } = this.net.fabric;
    // The quote travels the other way: its opposite end shows what the other direction's packets show.
    const opposite: Manip = manip === "source" ? "destination" : "source";
    const other = reply ? connection.original : connection.reply;
    const inner: Endpoint = {
      address: opposite === "source" ? other.source : other.destination,
      port: other.protocol === ipv4.PROTOCOL_ICMP || opposite === "source" ? other.sourcePort : other.destinationPort,
    };
    if (trace !== null) this.record(packet, quoted, opposite, inner, 1);
    if (!rewrite(view, quoted, packet.end, opposite, inner)) return false;
    icmp.setChecksum(view, at, length);
    const outer = this.target(packet, connection, manip);
    if (trace !== null) this.record(packet, NETWORK, manip, outer, 0);
    rewrite(view, NETWORK, packet.end, manip, outer);
    return true;
  }

  /** `inet_cmp()` of nf_nat_masquerade.c: a device lost an address that flows were masqueraded to. */
  addressGone(device: Device, address: number): void {
    for (const connection of [...this.net.tracker.table])
      if (connection.masqueradeDevice === device.index && connection.reply.destination === address)
        this.net.tracker.destroy(connection);
  }

  /** A device went down: what was masqueraded through it ends (`nf_nat_masquerade`). */
  deviceGone(device: Device): void {
    for (const connection of [...this.net.tracker.table])
      if (connection.masqueradeDevice === device.index) this.net.tracker.destroy(connection);
  }
}

function sourceKey(tuple: Tuple): number {
  return tuple.source ^ Math.imul(tuple.sourcePort, 0x9e3779b1) ^ (tuple.protocol << 24);
}
