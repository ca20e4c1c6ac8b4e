import { describe, expect, it } from "vitest";
import type { ProxyOptions } from "../../src/translator/http-proxy.ts";
import { isNamed } from "../../src/translator/proxy-request.ts";
import { parseIpv4 } from "../../src/wire/address.ts";
import { bytes, Desktop, dial, GATEWAY_ADDRESS, type Peer, SERVER, serve } from "./desktop.ts";

const NONE: ProxyOptions = { http: null, https: null, exclude: [], allow: null };
const MAC = parseIpv4("198.51.100.7");
const AT_MAC = { address: MAC, port: 8888 };
const UPSTREAM: ProxyOptions = { http: AT_MAC, https: AT_MAC, exclude: [".corp", "203.0.113.10"], allow: null };
const CORP = { servers: [], hosts: (name: string) => (name === "git.corp" ? [SERVER] : []) };

/** Answers each head of a request, and remembers it. */
function answering(host: Desktop["server"], port: number, answer: string | ((request: string) => string)): Peer[] {
  return serve(host, port, (peer) => {
    let heads = 0;
    peer.socket.onReadable = () => {
      peer.read();
      for (const request of peer.text.split("\r\n\r\n").slice(heads, -1)) {
        heads++;
        peer.socket.write(bytes(typeof answer === "string" ? answer : answer(request)));
      }
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
    expect(peers[0]!.text).toBe("GET /a?b HTTP/1.1\r\nHost: 203.0.113.10\r\nProxy-Connection: keep-alive\r\n\r\n");
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
  const proxy = { ...UPSTREAM, exclude: [".corp", "198.18.0.0/15"] };

  it("sends port 80 of remote hosts to the proxy, which is asked by the name in the Host field", () => {
    const desktop = new Desktop("vpnkit", { proxy });
    const upstream = answering(desktop.mac, 8888, ANSWER);
    const client = ask(desktop, SERVER, 80, "GET /x HTTP/1.1\r\nHost: web.example\r\n\r\n");
    expect(upstream[0]!.text).toMatch(/^GET http:\/\/web\.example\/x HTTP\/1\.1\r\n/);
    expect(client.text).toBe(ANSWER);
  });

  it("fetches excluded names itself, from the address that the name has", () => {
    const desktop = new Desktop("vpnkit", { proxy, dns: CORP });
    const peers = answering(desktop.server, 80, ANSWER);
    const client = ask(desktop, parseIpv4("203.0.113.99"), 80, "GET /x HTTP/1.1\r\nHost: git.corp\r\n\r\n");
    expect(peers[0]!.text).toMatch(/^GET \/x HTTP\/1\.1\r\n/);
    expect(client.text).toBe(ANSWER);
  });

  it("takes the address for the name where a request has none", () => {
    const desktop = new Desktop("vpnkit", { proxy });
    const upstream = answering(desktop.mac, 8888, ANSWER);
    ask(desktop, SERVER, 80, "GET /x HTTP/1.1\r\n\r\n");
    expect(upstream[0]!.text).toBe("GET http://203.0.113.10/x HTTP/1.1\r\nHost: 203.0.113.10\r\n\r\n");
  });

  it("tunnels port 443 with CONNECT to the address, unseen by the guest", () => {
    const desktop = new Desktop("vpnkit", { proxy });
    const upstream = answering(desktop.mac, 8888, "HTTP/1.1 200 Tunnel\r\n\r\nserver hello");
    const client = ask(desktop, SERVER, 443, "client hello");
    expect(client.text).toBe("server hello");
    expect(upstream[0]!.text).toBe("CONNECT 203.0.113.10:443 HTTP/1.1\r\nHost: 203.0.113.10:443\r\n\r\nclient hello");
  });

  it("leaves port 443 of excluded addresses alone", () => {
    const desktop = new Desktop("vpnkit", { proxy: { ...proxy, exclude: ["203.0.113.0/24"] } });
    serve(desktop.server, 443, ({ socket }) => socket.write(bytes("tls")));
    expect(ask(desktop, SERVER, 443, "client hello").text).toBe("tls");
  });

  it("ends a connection for which the proxy gives no tunnel", () => {
    const desktop = new Desktop("vpnkit", { proxy });
    answering(desktop.mac, 8888, "HTTP/1.1 403 Forbidden\r\n\r\nno");
    expect(ask(desktop, SERVER, 443, "client hello").text).toBe("no");
    const dead = new Desktop("vpnkit", { proxy });
    const client = ask(dead, SERVER, 443, "client hello");
    expect(client.events).toEqual(["connected", "end"]);
    client.socket.shutdown("write");
    dead.pass(100);
    expect(dead.translator.tcpFlows).toBe(0);
    expect(dead.balanced).toBe(true);
  });
});

describe("one connection to the proxy", () => {
  const get = (path: string, method = "GET") => `${method} http://203.0.113.10/${path} HTTP/1.1\r\n\r\n`;
  const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

  it("carries one request after the other, also when they come at once; each has a connection of its own outside", () => {
    const desktop = new Desktop("vpnkit", { proxy: NONE });
    const peers = answering(desktop.server, 80, (request) => (request.includes("/c") ? CHUNKED : ANSWER));
    const client = ask(desktop, GATEWAY_ADDRESS, 3128, get("a") + get("c") + get("b"));
    expect(client.text).toBe(ANSWER + CHUNKED + ANSWER);
    client.socket.write(bytes(get("d")));
    desktop.pass(1);
    expect(peers.map(({ text }) => text.split(" ")[1])).toEqual(["/a", "/c", "/b", "/d"]);
    expect(peers.map(({ events }) => events)).toEqual([["end"], ["end"], ["end"], ["end"]]);
    client.socket.shutdown("write");
    desktop.pass(100);
    expect(client.events).toEqual(["connected", "end", "closed"]);
    expect(desktop.translator.tcpFlows).toBe(0);
    expect(desktop.balanced).toBe(true);
  });

  it.each([
    ["says so", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"],
    ["speaks HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"],
  ])("ends behind the answer where the server %s", (_how, answer) => {
    const desktop = new Desktop("vpnkit", { proxy: NONE });
    answering(desktop.server, 80, answer);
    const client = ask(desktop, GATEWAY_ADDRESS, 3128, get("a"));
    expect(client.text).toBe(answer);
    expect(client.events).toEqual(["connected", "end"]);
  });

  it("ends where the answer ends with its connection, or before it is whole", () => {
    for (const answer of [
      "HTTP/1.1 200 OK\r\n\r\nas long as it lasts",
      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
    ]) {
      const desktop = new Desktop("vpnkit", { proxy: NONE });
      const [peers, client] = [answering(desktop.server, 80, answer), ask(desktop, GATEWAY_ADDRESS, 3128, get("a"))];
      expect(client.events).toEqual(["connected"]);
      peers[0]!.socket.shutdown("write");
      desktop.pass(1);
      expect([client.text, ...client.events]).toEqual([answer, "connected", "end"]);
    }
  });

  it("knows that answers to HEAD have no body, and that 100 Continue is not the last word", () => {
    const desktop = new Desktop("vpnkit", { proxy: NONE });
    const head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    const first = "HTTP/1.1 100 Continue\r\n\r\n";
    answering(desktop.server, 80, (request) => (request.startsWith("HEAD") ? head : first + ANSWER));
    const client = ask(desktop, GATEWAY_ADDRESS, 3128, get("a", "HEAD"));
    client.socket.write(bytes(get("b")));
    desktop.pass(1);
    expect(client.text).toBe(head + first + ANSWER);
  });

  it.each([
    ["of a length", "Content-Length: 300000", (body: string) => body],
    [
      "in chunks",
      "Transfer-Encoding: chunked",
      (body: string) =>
        `${body.replace(/.{1,60000}/g, (chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)}0\r\n\r\n`,
    ],
  ])("carries a body %s, as fast as the server reads", (_how, field, cut) => {
    const desktop = new Desktop("vpnkit", { proxy: NONE });
    const peers = serve(desktop.server, 80, (peer) => {
      peer.socket.onReadable = null;
    });
    const client = dial(desktop.vm, GATEWAY_ADDRESS, 3128);
    desktop.pass(1);
    let left = bytes(`POST http://203.0.113.10/ HTTP/1.1\r\n${field}\r\n\r\n${cut("x".repeat(300_000))}`);
    const whole = left.length;
    const go = () => {
      const taken = left.length === 0 ? 0 : client.socket.write(left);
      if (typeof taken === "number") left = left.subarray(taken);
    };
    client.socket.onWritable = go;
    for (let i = 0; i < 10 && left.length > 0; i++) {
      go();
      desktop.pass(1);
    }
    const [peer] = peers;
    peer!.socket.onReadable = () => peer!.read();
    peer!.read();
    for (let i = 0; i < 60; i++) {
      go();
      desktop.pass(1);
    }
    expect(left.length).toBe(0);
    expect(peer!.received).toBeGreaterThan(300_000);
    expect(peer!.received).toBeLessThan(whole + 10_000);
    peer!.socket.write(bytes(ANSWER));
    desktop.pass(1);
    expect(client.text).toBe(ANSWER);
  });

  it("answers 403 to what is not on the list of what may be fetched", () => {
    const desktop = new Desktop("vpnkit", { proxy: { ...NONE, allow: ["203.0.113.0/24", "*.example"] } });
    answering(desktop.server, 80, ANSWER);
    expect(ask(desktop, GATEWAY_ADDRESS, 3128, get("a")).text).toBe(ANSWER);
    const client = ask(desktop, GATEWAY_ADDRESS, 3128, "GET http://198.51.100.1/ HTTP/1.1\r\n\r\n");
    expect(client.text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(client.events).toEqual(["connected", "end"]);
    const tunnel = ask(desktop, GATEWAY_ADDRESS, 3129, "CONNECT example:443 HTTP/1.1\r\n\r\n");
    expect(tunnel.text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
  });
});

it.each([
  ["web.corp", "corp", true],
  ["corp", ".corp", false],
  ["web.corp", ".corp", true],
  ["a.web.corp", "*.corp", true],
  ["webcorp", "corp", false],
  ["10.1.2.3", "10.1.2.3", true],
  ["10.1.2.3", "10.1.0.0/16", true],
  ["10.1.2.3", "*.3", false],
  ["2.3", "2.3", false],
])("the host %s and the pattern %s: %s", (host, pattern, expected) => {
  expect(isNamed(host, ["else.where", pattern])).toBe(expected);
});
