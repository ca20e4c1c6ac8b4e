import { describe, expect, it } from "vitest";
import type { ProxyOptions } from "../../src/translator/http-proxy.ts";
import { parseIpv4 } from "../../src/wire/address.ts";
import { bytes, Desktop, dial, GATEWAY_ADDRESS, type Peer, SERVER, serve } from "./desktop.ts";

const NONE: ProxyOptions = { http: null, https: null, exclude: [] };
const MAC = parseIpv4("198.51.100.7");
const UPSTREAM: ProxyOptions = {
  http: { address: MAC, port: 8888 },
  https: { address: MAC, port: 8888 },
  exclude: [".corp", "203.0.113.10"],
};

/** Answers the head of each request once, and remembers it. */
function answering(host: Desktop["server"], port: number, answer: string): Peer[] {
  return serve(host, port, (peer) => {
    const { socket } = peer;
    let answered = false;
    socket.onReadable = () => {
      peer.read();
      if (answered || !peer.text.includes("\r\n\r\n")) return;
      answered = true;
      socket.write(bytes(answer));
      if (!answer.startsWith("HTTP/1.1 200 Tunnel")) socket.shutdown("write");
    };
  });
}

function ask(desktop: Desktop, address: number, port: number, request: string): Peer {
  const client = dial(desktop.vm, address, port);
  desktop.pass(1);
  client.socket.write(bytes(request));
  desktop.pass(10);
  return client;
}

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

describe("the explicit HTTP proxy at ports 3128 and 3129 of the gateway", () => {
  it.each([3128, 3129])("fetches an absolute URL at %i", (port) => {
    const desktop = new Desktop("vpnkit", { proxy: NONE });
    const peers = answering(desktop.server, 80, ANSWER);
    const request =
      "GET http://203.0.113.10/a?b HTTP/1.1\r\nHost: 203.0.113.10\r\nProxy-Connection: keep-alive\r\n\r\n";
    const client = ask(desktop, GATEWAY_ADDRESS, port, request);
    expect(client.text).toBe(ANSWER);
    expect(peers[0]!.text).toBe("GET /a?b HTTP/1.1\r\nHost: 203.0.113.10\r\nConnection: close\r\n\r\n");
    client.socket.shutdown("write");
    desktop.pass(100);
    expect(desktop.translator.tcpFlows).toBe(0);
    expect(desktop.balanced).toBe(true);
  });

  it("opens a tunnel for CONNECT", () => {
    const desktop = new Desktop("vpnkit", { proxy: NONE });
    const peers = serve(desktop.server, 443, ({ socket }) => socket.write(bytes("tls")));
    const client = ask(desktop, GATEWAY_ADDRESS, 3128, "CONNECT 203.0.113.10:443 HTTP/1.1\r\n\r\n");
    expect(client.text).toBe("HTTP/1.1 200 OK\r\n\r\ntls");
    client.socket.write(bytes("hello"));
    desktop.pass(1);
    expect(peers[0]!.text).toBe("hello");
  });

  it("answers 503 when it cannot connect, and 400 to what is no proxy request", () => {
    const desktop = new Desktop("vpnkit", { proxy: NONE });
    const refused = ask(desktop, GATEWAY_ADDRESS, 3128, "CONNECT 203.0.113.10:81 HTTP/1.1\r\n\r\n");
    expect(refused.text).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
    expect(refused.text).toContain("cannot connect (ECONNREFUSED)");
    const bad = ask(desktop, GATEWAY_ADDRESS, 3128, "GET / HTTP/1.1\r\n\r\n");
    expect(bad.text).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("is not there without proxies: the gateway is silent", () => {
    const desktop = new Desktop();
    const client = dial(desktop.vm, GATEWAY_ADDRESS, 3128);
    desktop.pass(2);
    expect(client.events).toEqual([]);
  });

  it("passes requests on to another proxy, but for what is excluded", () => {
    const desktop = new Desktop("vpnkit", { proxy: UPSTREAM });
    const upstream = answering(desktop.mac, 8888, ANSWER);
    ask(desktop, GATEWAY_ADDRESS, 3128, "GET http://web.example/ HTTP/1.1\r\nHost: web.example\r\n\r\n");
    expect(upstream[0]!.text).toMatch(/^GET http:\/\/web\.example\/ HTTP\/1\.1\r\n/);
    answering(desktop.server, 80, ANSWER);
    expect(ask(desktop, GATEWAY_ADDRESS, 3128, "GET http://203.0.113.10/ HTTP/1.1\r\n\r\n").text).toBe(ANSWER);
    expect(upstream).toHaveLength(1);
  });
});

describe("the transparent HTTP proxy", () => {
  const proxy = { ...UPSTREAM, exclude: [".corp"] };

  it("sends port 80 of remote hosts to the proxy, which is asked by the name in the Host field", () => {
    const desktop = new Desktop("vpnkit", { proxy });
    const upstream = answering(desktop.mac, 8888, ANSWER);
    const client = ask(desktop, SERVER, 80, "GET /x HTTP/1.1\r\nHost: web.example\r\n\r\n");
    expect(upstream[0]!.text).toMatch(/^GET http:\/\/web\.example\/x HTTP\/1\.1\r\n/);
    expect(client.text).toBe(ANSWER);
  });

  it("lets excluded names through to where they were going", () => {
    const desktop = new Desktop("vpnkit", { proxy });
    const peers = answering(desktop.server, 80, ANSWER);
    const client = ask(desktop, SERVER, 80, "GET /x HTTP/1.1\r\nHost: git.corp\r\n\r\n");
    expect(peers[0]!.text).toMatch(/^GET \/x HTTP\/1\.1\r\n/);
    expect(client.text).toBe(ANSWER);
  });

  it("tunnels port 443 with CONNECT to the address, unseen by the guest", () => {
    const desktop = new Desktop("vpnkit", { proxy });
    const upstream = answering(desktop.mac, 8888, "HTTP/1.1 200 Tunnel\r\n\r\nserver hello");
    const client = ask(desktop, SERVER, 443, "client hello");
    expect(client.text).toBe("server hello");
    expect(upstream[0]!.text).toBe("CONNECT 203.0.113.10:443 HTTP/1.1\r\nHost: 203.0.113.10:443\r\n\r\nclient hello");
  });

  it("resets a connection for which the proxy gives no tunnel", () => {
    const desktop = new Desktop("vpnkit", { proxy });
    answering(desktop.mac, 8888, "HTTP/1.1 403 Forbidden\r\n\r\n");
    expect(ask(desktop, SERVER, 443, "client hello").events).toContain("ECONNRESET");
    const dead = new Desktop("vpnkit", { proxy });
    expect(ask(dead, SERVER, 443, "client hello").events).toContain("ECONNRESET");
  });
});
