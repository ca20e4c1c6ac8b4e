import { addRoute, parseRoute } from "../../src/scenario/routing.ts";
import { PRESETS, type PresetName } from "../../src/translator/preset.ts";
import type { Translator } from "../../src/translator/translator.ts";
import { parseInterface, parseIpv4 } from "../../src/wire/address.ts";
import { type Host, type TranslatorPlan, World } from "../../src/world/world.ts";

/** vm 192.168.65.3 - translator on mac 198.51.100.7 - 198.51.100.1 router 203.0.113.1 - 203.0.113.10 server. */
export class Desktop {
  readonly world = new World(1);
  readonly translator: Translator;
  readonly vm: Host;
  readonly mac: Host;
  readonly server: Host;

  constructor(preset: PresetName = "vpnkit", options: Partial<Omit<TranslatorPlan, "host">> = {}) {
    const { world } = this;
    const [vm, mac, router, server] = ["vm", "mac", "router", "server"].map((name) => world.addNamespace(name));
    this.vm = vm!;
    this.mac = mac!;
    this.server = server!;
    router!.net.sysctls.set("net.ipv4.ip_forward", 1);
    const { addresses } = PRESETS.vpnkit;
    this.translator = world.addTranslator("translator", {
      host: "mac",
      behaviour: PRESETS[preset].behaviour,
      addresses,
      ...options,
    });
    this.connect("vm/eth0 192.168.65.3/24", "translator/vm");
    this.connect("mac/en0 198.51.100.7/24", "router/eth0 198.51.100.1/24");
    this.connect("router/eth1 203.0.113.1/24", "server/eth0 203.0.113.10/24");
    addRoute(world, "vm", parseRoute("default via 192.168.65.1"));
    addRoute(world, "mac", parseRoute("default via 198.51.100.1"));
    addRoute(world, "server", parseRoute("default via 203.0.113.1"));
  }

  private connect(...ends: [string, string]): void {
    const parts = ends.map((end) => end.split(/[ /]/));
    const [left, right] = parts.map(([namespace, device]) => ({ namespace: namespace!, device: device! }));
    for (const device of this.world.addCable(left!, right!)) device.setUp(true);
    for (const [namespace, device, address, length] of parts) {
      if (address === undefined) continue;
      const parsed = parseInterface(`${address}/${length}`);
      this.world
        .host(namespace!)
        .net.addAddress(this.world.inDevice(namespace!, device!), parsed.address, parsed.length);
    }
  }

  /** Lets virtual seconds pass. */
  pass(seconds: number): void {
    const { scheduler } = this.world.fabric;
    this.world.run(scheduler.now + seconds * 1e9);
  }

  /** Every packet has ended. */
  get balanced(): boolean {
    const { injected, generated, cloned, delivered, consumed, dropped } = this.world.fabric.books;
    return injected + generated + cloned === delivered + consumed + dropped && this.world.fabric.pool.held === 0;
  }
}

export const SERVER = parseIpv4("203.0.113.10");
export const HOST_ALIAS = parseIpv4("192.168.65.2");
export const GATEWAY_ADDRESS = parseIpv4("192.168.65.1");

/** A program that reads all, counts it, and says what happened. */
export class Peer {
  readonly events: string[] = [];
  received = 0;
  text = "";
  ended = false;

  constructor(readonly socket: ReturnType<Host["tcp"]["open"]>) {
    socket.onConnect = () => this.events.push("connected");
    socket.onError = (errno) => this.events.push(errno);
    socket.onClose = () => this.events.push("closed");
    socket.onReadable = () => this.read();
  }

  read(): void {
    for (let data = this.socket.read(); data === null || data.length > 0; data = this.socket.read()) {
      if (data === null) {
        if (!this.ended) this.events.push("end");
        this.ended = true;
        return;
      }
      this.received += data.length;
      if (this.text.length < 10_000) this.text += new TextDecoder().decode(data);
    }
  }
}

/** What listens at a port: each connection becomes a Peer. */
export function serve(host: Host, port: number, onPeer: (peer: Peer) => void = () => {}, address = 0): Peer[] {
  const peers: Peer[] = [];
  const listener = host.tcp.open();
  const refused = listener.bind(address, port) ?? listener.listen(16);
  if (refused !== null) throw new Error(refused);
  listener.onAccept = (socket) => {
    const peer = new Peer(socket);
    peers.push(peer);
    onPeer(peer);
  };
  return peers;
}

export function dial(host: Host, address: number, port: number): Peer {
  const socket = host.tcp.open();
  const peer = new Peer(socket);
  const refused = socket.connect(address, port);
  if (refused !== null) peer.events.push(refused);
  return peer;
}

export const bytes = (text: string) => new TextEncoder().encode(text);

/** Writes `total` bytes as they fit, then ends. */
export function pour(peer: Peer, total: number): void {
  const { socket } = peer;
  const chunk = new Uint8Array(20_000).map((_, i) => i & 255);
  let left = total;
  const go = () => {
    while (left > 0) {
      const taken = socket.write(chunk, 0, Math.min(left, chunk.length));
      if (typeof taken === "string" || taken === 0) return;
      left -= taken;
    }
    socket.shutdown("write");
  };
  socket.onWritable = go;
  go();
}
