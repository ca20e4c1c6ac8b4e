import { NETWORK, type Packet } from "../packet/packet.ts";
import { Connection } from "../tcp/connection.ts";
import type { OutgoingSegment } from "../tcp/outgoing.ts";
import { Segment } from "../tcp/segment.ts";
import { STEP, wordNumber } from "../trace/step.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as tcp from "../wire/tcp.ts";
import type { Guest } from "./guest.ts";
import { type GuestHeader, PAYLOAD } from "./guest-output.ts";
import type { Endpoint, HostFailure, HostStream, HostStreamEvents } from "./host-sockets.ts";
import { type Impersonation, portsKey } from "./impersonation.ts";
import { type Answers, answerTo } from "./preset.ts";
import { TcpFlow } from "./tcp-flow.ts";
import { unreachable } from "./udp-flows.ts";

const BEGINS = wordNumber("flowChange", "begins");
const CONTINUES = wordNumber("flowChange", "continues");
const ENDS = wordNumber("flowChange", "ends");
const CALL = {
  connect: wordNumber("call", "connect"),
  send: wordNumber("call", "send"),
  shutdown: wordNumber("call", "shutdown"),
};
const SECOND = 1e9;
/** RFC 6335, 6: how many ports are for whoever needs one. */
const EPHEMERAL = 16_384;
const IGNORED: HostStreamEvents = { connected() {}, failed() {}, readable() {}, writable() {}, closed() {} };

/** The TCP connections of one guest, `intercept_tcp` of `slirp.ml`: a SYN first opens the outer socket, then is answered. */
export class TcpFlows {
  /** The packet that is being dealt with: what is sent now is because of it. */
  cause = 0;
  size = 0;
  private readonly segment = new Segment();
  private readonly header: { -readonly [K in keyof GuestHeader]: GuestHeader[K] } = {
    source: 0,
    destination: 0,
    protocol: ipv4.PROTOCOL_TCP,
    length: 0,
    parent: 0,
  };

  constructor(private readonly guest: Guest) {}

  // Segments in.

  /** A segment for an impersonated host; its header stands at `at`. Takes ownership. */
  receive(packet: Packet, at: number, impersonation: Impersonation): void {
    const { view } = packet;
    const { guest } = this;
    const bytes = packet.end - at;
    if (bytes < tcp.TCP_HEADER || tcp.headerLength(view, at) < tcp.TCP_HEADER || tcp.headerLength(view, at) > bytes) {
      guest.drop(packet, ipv4.isFragment(view, NETWORK) ? "GUEST_FRAGMENT" : "PKT_TOO_SMALL");
      return;
    }
    if (!tcp.isValid(view, at, bytes, ipv4.source(view, NETWORK), ipv4.destination(view, NETWORK))) {
      guest.drop(packet, "TCP_CSUM");
      return;
    }
    const flow = impersonation.flows.get(portsKey(tcp.sourcePort(view, at), tcp.destinationPort(view, at)));
    if (flow !== undefined) this.known(packet, at, flow);
    else if ((tcp.flags(view, at) & (tcp.SYN | tcp.ACK | tcp.RST)) === tcp.SYN) this.open(packet, at, impersonation);
    else this.refuse(packet, at);
  }

  /** A segment of a flow. Takes ownership. */
  private known(packet: Packet, at: number, flow: TcpFlow): void {
    const { guest } = this;
    const { fabric, place } = guest.translator;
    const { connection, impersonation } = flow;
    const flags = tcp.flags(packet.view, at);
    this.tell(packet.id, CONTINUES, flow);
    if (connection === null) {
      if ((flags & tcp.RST) !== 0) flow.abandon();
      guest.drop(packet, "SYN_PENDING");
      return;
    }
    const isSyn = (flags & (tcp.SYN | tcp.ACK)) === tcp.SYN;
    if (isSyn && connection.state !== "TIME_WAIT") {
      guest.drop(packet, "SYN_KNOWN_FLOW");
      return;
    }
    this.segment.read(packet.bytes, packet.view, at, packet.end);
    const before = this.cause;
    this.cause = packet.id;
    const fate = connection.receive(this.segment);
    this.cause = before;
    if (fate === "accepted") fabric.deliver(packet, place, "the impersonated host");
    else if (fate === "reopen") {
      connection.finish();
      this.open(packet, at, impersonation);
    } else if (fate === "reset") {
      guest.reset(packet, at);
      guest.drop(packet, "TCP_RESET");
    } else guest.drop(packet, fate);
  }

  /** A segment of no flow: RST, as the stack that plays the host answers. Takes ownership. */
  private refuse(packet: Packet, at: number): void {
    this.guest.reset(packet, at);
    this.guest.drop(packet, "NO_SOCKET");
  }

  // Opening.

  /** A SYN of no flow. Takes ownership. */
  private open(packet: Packet, at: number, impersonation: Impersonation): void {
    const { guest } = this;
    const { translator } = guest;
    const { view } = packet;
    const { halfOpen, most } = translator.behaviour.tcp;
    if (halfOpen > 0 && translator.halfOpen >= halfOpen) {
      guest.drop(packet, "HALF_OPEN_LIMIT");
      return;
    }
    const to = { address: impersonation.remote, port: tcp.destinationPort(view, at) };
    const service = translator.serviceFor(to, impersonation.role);
    const outside = service === null ? translator.outsideOf(to, impersonation.role, "tcp") : to;
    if ((most > 0 && translator.tcpFlows >= most) || outside === null) {
      if (outside !== null || translator.behaviour.refusesClosedPorts) this.refuse(packet, at);
      else guest.drop(packet, "NO_SERVICE");
      return;
    }
    const localPort = tcp.sourcePort(view, at);
    const flow = new TcpFlow(this, translator.nextFlow(), impersonation, localPort, to.port, outside);
    this.add(flow);
    this.tell(packet.id, BEGINS, flow);
    if (service === null) {
      this.connect(packet, at, flow);
      return;
    }
    flow.syn = packet;
    translator.halfOpen++;
    flow.stream = service.open(to, flow.events, packet.id);
    this.connected(flow, packet.id);
  }

  /** Takes ownership. */
  private connect(packet: Packet, at: number, flow: TcpFlow): void {
    const { translator } = this.guest;
    const { carriesTtl, connectTimeout, refusedAtOnce } = translator.behaviour.tcp;
    const ttl = carriesTtl ? ipv4.ttl(packet.view, NETWORK) : 0;
    this.tellCall(packet.id, flow, "connect");
    flow.syn = packet;
    translator.halfOpen++;
    const stream = translator.host.connect(flow.outside, ttl, flow.events, packet.id);
    if (typeof stream === "string") {
      this.answerFailure(flow, at, { errno: stream, icmp: null }, refusedAtOnce, packet.id);
      return;
    }
    flow.stream = stream;
    if (connectTimeout === 0 || flow.syn === null) return;
    flow.patience = translator.fabric.scheduler.timer(() => {
      stream.destroy(0);
      this.failed(flow, { errno: "ETIMEDOUT", icmp: null }, 0);
    });
    flow.patience.armIn(connectTimeout * SECOND);
  }

  /**
   * A connection from outside to a guest, over Ethernet: from `from`, or from any free port of that address for port 0.
   * What its stream does goes to the events.
   */
  dial(stream: HostStream, from: Endpoint, to: Endpoint, cause: number): HostStreamEvents {
    const { translator } = this.guest;
    const impersonation = this.guest.impersonationOf(from.address, to.address);
    const port = from.port !== 0 ? from.port : impersonation === null ? 0 : this.freePort(impersonation, to.port);
    if (impersonation === null || port === 0 || impersonation.flows.has(portsKey(to.port, port))) {
      stream.destroy(cause);
      return IGNORED;
    }
    const flow = new TcpFlow(this, translator.nextFlow(), impersonation, to.port, port, stream.peer);
    flow.stream = stream;
    this.add(flow);
    this.tell(cause, BEGINS, flow);
    const { options, random } = translator.tcp;
    flow.connection = new Connection(flow, translator.fabric.scheduler, random, options);
    const before = this.cause;
    this.cause = cause;
    flow.connection.open();
    this.cause = before;
    return flow.events;
  }

  private freePort(impersonation: Impersonation, localPort: number): number {
    const { random } = this.guest.translator;
    const offset = random.below(EPHEMERAL);
    for (let i = 0; i < EPHEMERAL; i++) {
      const port = 65_535 - ((offset + i) % EPHEMERAL);
      if (!impersonation.flows.has(portsKey(localPort, port))) return port;
    }
    return 0;
  }

  /** The host is connected: now the guest's SYN is answered. */
  connected(flow: TcpFlow, cause: number): void {
    const { fabric, place } = this.guest.translator;
    const syn = this.takeSyn(flow);
    if (syn === null) return;
    const { options, random } = this.guest.translator.tcp;
    flow.connection = new Connection(flow, fabric.scheduler, random, options);
    this.segment.read(syn.bytes, syn.view, NETWORK + ipv4.headerLength(syn.view, NETWORK), syn.end);
    const before = this.cause;
    this.cause = cause || syn.id;
    flow.connection.respond(this.segment);
    this.cause = before;
    fabric.deliver(syn, place, "the impersonated host");
  }

  /** The host could not connect: the guest is told as the preset has it. */
  failed(flow: TcpFlow, failure: HostFailure, cause: number): void {
    const { syn } = flow;
    if (syn === null) return;
    const at = NETWORK + ipv4.headerLength(syn.view, NETWORK);
    this.answerFailure(flow, at, failure, this.guest.translator.behaviour.tcp.refusedLater, cause);
  }

  private answerFailure(flow: TcpFlow, at: number, failure: HostFailure, answers: Answers, cause: number): void {
    const { guest } = this;
    const { translator } = guest;
    const syn = this.takeSyn(flow)!;
    const { errno, icmp: error } = failure;
    this.tellCall(syn.id, flow, "connect", 0, errno);
    this.remove(flow);
    const answer = answerTo(answers, errno);
    if (error !== null && translator.behaviour.relays.tcp.includes(error.type) && error.code !== icmp.PORT_UNREACHABLE)
      guest.output.errorAbout(syn, translator.seenFromInside(error.from), error, cause);
    else if (answer === "reset") guest.reset(syn, at, cause);
    else if (answer !== "silence")
      guest.output.errorAbout(syn, flow.impersonation.remote, unreachable(answer.code), cause);
    guest.drop(syn, "HOST_REFUSED");
  }

  /** The flow waits for its host no more. */
  private takeSyn(flow: TcpFlow): Packet | null {
    const { syn } = flow;
    if (syn === null) return null;
    flow.syn = null;
    flow.patience?.cancel();
    this.guest.translator.halfOpen--;
    return syn;
  }

  /** The guest or the sweep gave up before the host was connected. */
  giveUp(flow: TcpFlow): void {
    const syn = this.takeSyn(flow);
    if (syn !== null) this.guest.drop(syn, "FLOW_GIVEN_UP");
    this.remove(flow);
  }

  private add(flow: TcpFlow): void {
    flow.impersonation.flows.set(portsKey(flow.localPort, flow.remotePort), flow);
    this.size++;
    this.guest.translator.tcpFlows++;
  }

  remove(flow: TcpFlow): void {
    if (!flow.impersonation.flows.delete(portsKey(flow.localPort, flow.remotePort))) return;
    this.size--;
    this.guest.translator.tcpFlows--;
    this.tell(0, ENDS, flow);
  }

  // Segments out.

  /** A segment of the impersonated host. */
  transmit(flow: TcpFlow, segment: OutgoingSegment): void {
    const { header, guest } = this;
    const { remote, local } = flow.impersonation;
    header.source = remote;
    header.destination = local;
    header.length = segment.headerLength + segment.length;
    header.parent = this.cause;
    const packet = guest.output.begin(header);
    segment.write(packet.bytes, packet.view, PAYLOAD, flow.remotePort, flow.localPort);
    tcp.setChecksum(packet.view, PAYLOAD, header.length, remote, local);
    guest.output.send(packet);
  }

  // The trace.

  private tell(packet: number, change: number, { number, outside }: TcpFlow): void {
    const { fabric, place } = this.guest.translator;
    fabric.trace?.step(STEP.flow, packet, place, change, ipv4.PROTOCOL_TCP, number, outside.address, 0);
  }

  /** A call of the host's stream, and the errno that it failed with. */
  tellCall(packet: number, { outside }: TcpFlow, call: keyof typeof CALL, bytes = 0, errno = ""): void {
    const { fabric, place } = this.guest.translator;
    if (fabric.trace === null) return;
    const [address, port] = call === "connect" ? [outside.address, outside.port] : [0, 0];
    const result = errno === "" ? 0 : fabric.names.text(errno);
    fabric.trace.step(STEP.call, packet, place, CALL[call], address, port, bytes, result);
  }
}
