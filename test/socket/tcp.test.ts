import { describe, expect, it } from "vitest";
import { parseRules } from "../../src/kernel/netfilter/rule-text.ts";
import type { Veth } from "../../src/link/veth.ts";
import { SynCookies } from "../../src/socket/syn-cookie.ts";
import { Segment } from "../../src/tcp/segment.ts";
import { connected, gather, pour, SERVER, twoHosts } from "./two-hosts.ts";

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);

/** Without a list of what differs, which takes long to make. */
const isSame = (got: Uint8Array | null, data: Uint8Array) => got !== null && Buffer.compare(got, data) === 0;

describe("a TCP socket", () => {
  it("connects, and data goes both ways", () => {
    const world = twoHosts();
    const { client, server } = connected(world);
    expect([client.state, server.state]).toEqual(["ESTABLISHED", "ESTABLISHED"]);
    client.write(bytes(5));
    world.run();
    expect(server.read()).toEqual(bytes(5));
    server.write(bytes(3000));
    world.run();
    expect(client.read()).toEqual(bytes(3000));
  });

  it("is refused where nobody listens", () => {
    const world = twoHosts();
    const client = world.host("client").tcp.open();
    const errors: string[] = [];
    client.onError = (errno) => errors.push(errno);
    expect(client.connect(SERVER, 81)).toBeNull();
    world.run();
    expect(errors).toEqual(["ECONNREFUSED"]);
  });

  it("carries a long stream whole", () => {
    const world = twoHosts({ delay: 1e6 });
    const { client, server } = connected(world);
    const data = bytes(3_000_000);
    let got: Uint8Array | null = null;
    gather(server, (all) => {
      got = all;
    });
    pour(client, data, () => client.close());
    world.run();
    expect(isSame(got, data)).toBe(true);
  });

  it("carries a stream whole through loss, reordering, duplication and damage", () => {
    const world = twoHosts({ delay: 1e6, loss: 0.2, reorder: 0.05, duplicate: 0.05, corrupt: 0.02 });
    const { client, server } = connected(world);
    const data = bytes(200_000);
    let got: Uint8Array | null = null;
    gather(server, (all) => {
      got = all;
    });
    pour(client, data, () => client.close());
    world.run();
    expect(isSame(got, data)).toBe(true);
  });

  it("leaves nothing behind after both sides closed", () => {
    const world = twoHosts();
    const { client, server, listener } = connected(world);
    client.close();
    world.run();
    expect(server.state).toBe("CLOSE_WAIT");
    server.close();
    listener.close();
    world.run();
    world.run(world.fabric.scheduler.now + 61e9);
    for (const name of ["client", "server"]) expect([...world.host(name).tcp.connections]).toEqual([]);
    expect(world.fabric.pool.held).toBe(0);
  });
});

describe("the accept queue", () => {
  const CLIENTS = 5;

  function clients(world: ReturnType<typeof twoHosts>, backlog: number) {
    const listener = world.host("server").tcp.open();
    listener.bind(0, 80);
    listener.listen(backlog);
    const sockets = Array.from({ length: CLIENTS }, () => world.host("client").tcp.open());
    for (const socket of sockets) socket.connect(SERVER, 80);
    return { listener, sockets };
  }

  it("holds one more than the backlog, and lets the others ask again until there is room", () => {
    const world = twoHosts();
    const { listener, sockets } = clients(world, 1);
    expect(sockets.map(({ state }) => state)).toEqual([
      "ESTABLISHED",
      "ESTABLISHED",
      "SYN_SENT",
      "SYN_SENT",
      "SYN_SENT",
    ]);
    expect([listener.accept()?.state, listener.accept()?.state, listener.accept()]).toEqual([
      "ESTABLISHED",
      "ESTABLISHED",
      null,
    ]);
    world.run(2e9);
    expect(sockets.filter(({ state }) => state === "ESTABLISHED").length).toBe(4);
  });

  it("is reset when the listener closes", () => {
    const world = twoHosts();
    const { listener, sockets } = clients(world, 16);
    listener.close();
    world.run(1e9);
    expect(sockets.map((socket) => socket.receive(1))).toEqual(sockets.map(() => "ECONNRESET"));
    expect(sockets.map((socket) => socket.receive(1))).toEqual(sockets.map(() => new Uint8Array(0)));
  });
});

describe("ports", () => {
  it("are one socket's alone, unless both reuse them and neither listens", () => {
    const { tcp } = twoHosts().host("server");
    const bound = (reuse: boolean, address = 0) => {
      const socket = tcp.open({ reuse });
      return [socket, socket.bind(address, 80)] as const;
    };
    const [first] = bound(true);
    expect(bound(false)[1]).toBe("EADDRINUSE");
    const [second, both] = bound(true);
    expect(both).toBeNull();
    expect(first.listen()).toBeNull();
    expect(second.listen()).toBe("EADDRINUSE");
    expect(bound(true)[1]).toBe("EADDRINUSE");
    first.close();
    expect(second.listen()).toBeNull();
  });

  it("are free again once the connection and its socket are gone", () => {
    const world = twoHosts();
    const { tcp } = world.host("client");
    const client = tcp.open();
    expect([client.bind(0, 5000), client.connect(SERVER, 81)]).toEqual([null, null]);
    world.run();
    expect(tcp.open().bind(0, 5000)).toBe("EADDRINUSE");
    client.close();
    expect(tcp.open().bind(0, 5000)).toBeNull();
  });

  it("that connect() chooses are even, and of the range", () => {
    const world = twoHosts();
    const chosen = Array.from({ length: 20 }, () => {
      const socket = world.host("client").tcp.open();
      socket.connect(SERVER, 80);
      return socket.local.port;
    });
    expect(new Set(chosen).size).toBe(20);
    for (const port of chosen) expect([port % 2, port >= 32_768 && port <= 60_999]).toEqual([0, true]);
  });
});

describe("ICMP errors", () => {
  it("end a connection that is being opened, each with its errno", () => {
    const world = twoHosts();
    world
      .host("server")
      .net.netfilter.load(
        parseRules("*filter\n-A INPUT -p tcp -j REJECT --reject-with icmp-host-prohibited\nCOMMIT\n", "rules"),
      );
    // A cable with a delay: what comes while connect() runs is only a hint.
    for (const name of ["client", "server"]) world.impair(world.device(name, "eth0") as Veth, { delay: 1e6 });
    const client = world.host("client").tcp.open();
    client.connect(SERVER, 80);
    world.run(1e9);
    expect([client.state, client.receive(1)]).toEqual(["CLOSE", "EHOSTUNREACH"]);
  });

  it("that come while connect() runs are kept for the timeout", () => {
    const world = twoHosts();
    world
      .host("server")
      .net.netfilter.load(
        parseRules("*filter\n-A INPUT -p tcp -j REJECT --reject-with icmp-host-prohibited\nCOMMIT\n", "rules"),
      );
    const client = world.host("client").tcp.open();
    client.connect(SERVER, 80);
    expect([client.state, client.receive(1)]).toEqual(["SYN_SENT", "EAGAIN"]);
  });

  it("cut segments to the path's MTU", () => {
    const world = twoHosts();
    const { client, server } = connected(world);
    expect(client.connection!.mss).toBe(1448);
    client.connection!.reducePathMtu(1000);
    client.write(bytes(3000));
    world.run();
    expect(server.read()!.length).toBe(3000);
    expect(client.connection!.mss).toBe(948);
  });
});

describe("SYN cookies", () => {
  const always = (seed?: number) => {
    const world = twoHosts({ delay: 1e6 }, seed);
    world.host("server").net.sysctls.set("net.ipv4.tcp_syncookies", "2");
    return world;
  };

  it("open a connection that the listener kept nothing of, with its options", () => {
    const world = always();
    const { client, server, listener } = connected(world);
    expect(listener.requests).toBe(0);
    expect([server.connection!.sackOk, server.connection!.sndScale]).toEqual([true, client.connection!.window.scale]);
    const data = bytes(500_000);
    let got: Uint8Array | null = null;
    gather(server, (all) => {
      got = all;
    });
    pour(client, data, () => client.close());
    world.run();
    expect(isSame(got, data)).toBe(true);
  });

  it("keep nothing of a SYN whose sender never answers", () => {
    const world = always();
    const listener = world.host("server").tcp.open();
    listener.bind(0, 80);
    listener.listen(16);
    const client = world.host("client").tcp.open();
    client.connect(SERVER, 80);
    client.close();
    world.run();
    expect(listener.requests).toBe(0);
    expect([...world.host("server").tcp.connections]).toEqual([]);
  });

  it("are not those of another port, or of another minute", () => {
    const cookies = new SynCookies(5);
    const flow = { localAddress: 1, localPort: 80, remoteAddress: 2, remotePort: 4000 };
    const syn = new Segment();
    Object.assign(syn, { sequence: 77, mss: 1448, timestamps: true, windowScale: 7, sackPermitted: true });
    const ack = new Segment();
    Object.assign(ack, { sequence: 78, acknowledgement: cookies.make(flow, syn, 0) + 1, timestamps: true });
    const found = new Segment();
    expect(cookies.read(flow, ack, 0, found)).toBe(true);
    expect(found).toMatchObject({ sequence: 77, mss: 1440, windowScale: 7, sackPermitted: true });
    expect(cookies.read(flow, ack, 119e9, found)).toBe(true);
    expect(cookies.read(flow, ack, 120e9, found)).toBe(false);
    expect(cookies.read({ ...flow, remotePort: 4001 }, ack, 0, found)).toBe(false);
    ack.sequence++;
    expect(cookies.read(flow, ack, 0, found)).toBe(false);
  });
});
