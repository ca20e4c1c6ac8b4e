import { describe, expect, it } from "vitest";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { type UnixSocket, UnixSockets } from "../../src/socket/unix.ts";

const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString());
const bytes = (line: string) => new Uint8Array(Buffer.from(line));

function connected() {
  const scheduler = new Scheduler();
  const sockets = new UnixSockets(scheduler);
  const listener = sockets.open();
  listener.bind("/run/docker.sock");
  listener.listen();
  const accepted: UnixSocket[] = [];
  listener.onAccept = (socket) => accepted.push(socket);
  const client = sockets.open();
  expect(client.connect("/run/docker.sock")).toBeNull();
  scheduler.run();
  return { scheduler, sockets, listener, client, server: accepted[0]! };
}

describe("a unix socket", () => {
  it("carries a stream both ways, to its end", () => {
    const { scheduler, client, server } = connected();
    const heard: (string | null)[] = [];
    server.onReadable = () => heard.push(text(server.read()));
    client.write(bytes("GET /"));
    client.shutdown("write");
    scheduler.run();
    expect([...heard, text(server.read())]).toEqual(["GET /", null]);
    server.write(bytes("200 OK"));
    expect([text(client.read(3)), text(client.read()), text(client.read())]).toEqual(["200", " OK", ""]);
  });

  it("says why it cannot connect or bind", () => {
    const { sockets } = connected();
    expect(sockets.open().connect("/run/other.sock")).toBe("ENOENT");
    expect(sockets.open().bind("/run/docker.sock")).toBe("EADDRINUSE");
    sockets.open().bind("/run/idle.sock");
    expect(sockets.open().connect("/run/idle.sock")).toBe("ECONNREFUSED");
    expect(sockets.open().write(bytes("x"))).toBe("ENOTCONN");
  });

  it("takes no more than the reader's buffer, and tells when there is room", () => {
    const { scheduler, client, server } = connected();
    expect(client.write(new Uint8Array(300_000))).toBe(212_992);
    expect(client.write(new Uint8Array(1))).toBe(0);
    let told = 0;
    client.onWritable = () => told++;
    server.read();
    scheduler.run();
    expect(told).toBe(1);
  });

  it("ends both ways when one side closes, and frees its name", () => {
    const { scheduler, sockets, listener, client, server } = connected();
    let closed = false;
    client.onClose = () => {
      closed = true;
    };
    server.write(bytes("bye"));
    server.close();
    scheduler.run();
    expect([text(client.read()), text(client.read()), closed]).toEqual(["bye", null, true]);
    expect(client.write(bytes("x"))).toBe("EPIPE");
    listener.close();
    expect(sockets.open().bind("/run/docker.sock")).toBeNull();
  });
});
