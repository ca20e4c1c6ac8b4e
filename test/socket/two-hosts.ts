import type { ImpairmentOptions } from "../../src/link/impairment.ts";
import type { TcpSocket } from "../../src/socket/tcp.ts";
import { parseIpv4 } from "../../src/wire/address.ts";
import { World } from "../../src/world/world.ts";

export const CLIENT = parseIpv4("10.0.0.1");
export const SERVER = parseIpv4("10.0.0.2");

/** Two hosts on one cable, which does to frames what `impairment` says, in both directions. */
export function twoHosts(impairment: ImpairmentOptions | null = null, seed = 1, mtu = 1500): World {
  const world = new World(seed);
  for (const name of ["client", "server"]) world.addNamespace(name);
  const ends = world.addCable(
    { namespace: "client", device: "eth0", mtu },
    { namespace: "server", device: "eth0", mtu },
  );
  for (const end of ends) {
    end.setUp(true);
    world.impair(end, impairment);
  }
  world.host("client").net.addAddress(world.inDevice("client", "eth0"), CLIENT, 24);
  world.host("server").net.addAddress(world.inDevice("server", "eth0"), SERVER, 24);
  return world;
}

/** A listener on the server's port 80, and a client that connects to it, again where the cable swallows all of ARP. */
export function connected(world: World): { client: TcpSocket; server: TcpSocket; listener: TcpSocket } {
  const listener = world.host("server").tcp.open();
  listener.bind(0, 80);
  listener.listen(16);
  for (let attempt = 0; attempt < 10; attempt++) {
    const client = world.host("client").tcp.open();
    client.connect(SERVER, 80);
    for (let i = 0; i < 26 && client.state !== "CLOSE"; i++) {
      world.run(world.fabric.scheduler.now + 5e9);
      const server = listener.accept();
      if (server !== null) return { client, server, listener };
    }
    client.close();
  }
  throw new Error("nobody connected");
}

/** Writes all of `data`, as there is room. */
export function pour(socket: TcpSocket, data: Uint8Array, done: () => void = () => {}): void {
  let at = 0;
  const more = () => {
    while (at < data.length) {
      const taken = socket.write(data, at);
      if (typeof taken === "string") throw new Error(taken);
      if (taken === 0) return;
      at += taken;
    }
    socket.onWritable = null;
    done();
  };
  socket.onWritable = more;
  more();
}

/** Reads all that comes until the end of the stream. */
export function gather(socket: TcpSocket, done: (data: Uint8Array) => void): void {
  const pieces: Uint8Array[] = [];
  const more = () => {
    for (;;) {
      const piece = socket.read();
      if (piece === null) {
        socket.onReadable = null;
        done(join(pieces));
        return;
      }
      if (piece.length === 0) return;
      pieces.push(piece);
    }
  };
  socket.onReadable = more;
  more();
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
