import { describe, expect, it } from "vitest";
import { run, smallWorld, start } from "./small-world.ts";

const proxy = (protocol: string, port: number, host = "0.0.0.0") =>
  `/usr/bin/docker-proxy -proto ${protocol} -host-ip ${host} -host-port ${port} -container-ip 10.0.3.2 -container-port 80`;

describe("docker-proxy", () => {
  it("carries a TCP connection by one of its own: the container sees the proxy", () => {
    const world = smallWorld();
    const server = start(world, "server", "http-server 80");
    const { lines } = start(world, "router2", proxy("tcp", 4567));
    expect(run(world, "client", "curl http://10.0.2.2:4567/").lines[0]).toMatch(/^hello 10\.0\.3\.1:\d+$/);
    expect(server.lines[1]).toContain("from 10.0.3.1:");
    expect(lines[0]).toMatch(/^10\.0\.1\.2:\d+ goes on to 10\.0\.3\.2:80 as 10\.0\.3\.1:\d+$/);
  });

  it("listens on the published address alone", () => {
    const world = smallWorld();
    start(world, "server", "http-server 80");
    start(world, "router2", proxy("tcp", 4567, "127.0.0.1"));
    expect(run(world, "client", "curl http://10.0.2.2:4567/").status).toBe(7);
    expect(run(world, "router2", "curl http://127.0.0.1:4567/").status).toBe(0);
  });

  it("accepts, and then loses the client, when the container refuses", () => {
    const world = smallWorld();
    const { lines } = start(world, "router2", proxy("tcp", 4567));
    const { status } = run(world, "client", "curl -v http://10.0.2.2:4567/");
    expect([52, 56]).toContain(status);
    expect(lines).toEqual([
      "Can't forward traffic to backend tcp/10.0.3.2:80: dial tcp 10.0.3.2:80: connect: connection refused",
    ]);
  });

  it("says why it cannot listen, and ends", () => {
    const world = smallWorld();
    start(world, "router2", "http-server 4567");
    expect(start(world, "router2", proxy("tcp", 4567))).toMatchObject({
      lines: ["failed to listen on 0.0.0.0:4567: listen tcp4 0.0.0.0:4567: bind: address already in use"],
      status: 1,
    });
    expect(start(world, "router2", proxy("udp", 4567, "10.9.9.9"))).toMatchObject({
      lines: ["failed to listen on 10.9.9.9:4567: listen udp4 10.9.9.9:4567: bind: cannot assign requested address"],
      status: 1,
    });
  });

  it("keeps half-open connections half open", () => {
    const world = smallWorld();
    start(world, "server", "tcp-echo-server 80");
    start(world, "router2", proxy("tcp", 4567));
    const { lines, status } = run(world, "client", "tcp-client 10.0.2.2 4567 hello");
    expect(lines[1]).toBe('received 5 bytes "hello"');
    expect(status).toBe(0);
  });

  it("keeps a UDP client's socket for 90 seconds after the last answer", () => {
    const world = smallWorld();
    const server = start(world, "server", "udp-echo-server 80");
    const { lines } = start(world, "router2", proxy("udp", 4567));
    const ask = () => run(world, "client", "udp-client -p 40000 10.0.2.2 4567 hello").lines;
    const ports = () => new Set(server.lines.slice(1).map((line) => /:(\d+):/.exec(line)![1])).size;
    const { scheduler } = world.fabric;
    const first = start(world, "client", "udp-client -p 40000 10.0.2.2 4567 hello");
    world.run(scheduler.now + 1e9);
    expect(first.lines).toEqual(['from 10.0.2.2:4567: 5 bytes "hello"']);
    const second = start(world, "client", "udp-client -p 40000 10.0.2.2 4567 hello");
    world.run(scheduler.now + 89e9);
    expect(second.lines).toEqual(['from 10.0.2.2:4567: 5 bytes "hello"']);
    expect(ports()).toBe(1);
    world.run();
    expect(scheduler.now).toBe(91e9);
    expect(ask()).toEqual(['from 10.0.2.2:4567: 5 bytes "hello"']);
    expect(ports()).toBe(2);
    expect(lines).toHaveLength(2);
  });

  it("answers a UDP client from the address that it asked", () => {
    const world = smallWorld();
    start(world, "server", "udp-echo-server 80");
    start(world, "router2", proxy("udp", 4567));
    expect(run(world, "client", "udp-client -u 10.0.3.1 4567 hello").lines).toEqual([
      'from 10.0.3.1:4567: 5 bytes "hello"',
    ]);
  });

  it("reads on after a refusal", () => {
    const world = smallWorld();
    start(world, "router2", proxy("udp", 4567));
    const { lines } = run(world, "client", "udp-client -c 2 -p 40000 10.0.2.2 4567 hello");
    expect(lines).toEqual(["no answer after 1 s", "no answer after 1 s"]);
  });
});
