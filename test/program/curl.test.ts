import { describe, expect, it } from "vitest";
import type { TcpSocket } from "../../src/socket/tcp-socket.ts";
import type { World } from "../../src/world/world.ts";
import { loadRules, run, smallWorld, start } from "./small-world.ts";

function serving(command = "http-server 80"): { world: World; server: { readonly lines: string[] } } {
  const world = smallWorld();
  return { world, server: start(world, "server", command) };
}

const DROP = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 80 -j DROP\nCOMMIT\n";

describe("curl", () => {
  it("prints the body, and with -v what curl prints", () => {
    const { world } = serving("http-server -d hi 80");
    expect(run(world, "client", "curl http://10.0.3.2/").lines).toEqual(["hi"]);
    expect(run(world, "client", "curl -v http://10.0.3.2/x").lines).toEqual([
      "*   Trying 10.0.3.2:80...",
      "* Connected to 10.0.3.2 (10.0.3.2) port 80 (#0)",
      "> GET /x HTTP/1.1",
      "> Host: 10.0.3.2",
      "> User-Agent: curl/7.88.1",
      "> Accept: */*",
      "> ",
      "< HTTP/1.1 200 OK",
      "< Server: hopscope",
      "< Content-Type: text/plain",
      "< Content-Length: 3",
      "< ",
      "hi",
      "* Connection #0 to host 10.0.3.2 left intact",
    ]);
  });

  it("tells the server's side whom it saw", () => {
    const { world, server } = serving();
    const { lines } = run(world, "client", "curl 10.0.3.2");
    expect(server.lines[1]).toMatch(/^from 10\.0\.1\.2:\d+: GET \/ HTTP\/1\.1, 200$/);
    expect(lines[0]).toMatch(/^hello 10\.0\.1\.2:\d+$/);
  });

  it("ends with 7 when the connection is refused", () => {
    const { lines, status } = run(smallWorld(), "client", "curl -v http://10.0.3.2:8080/");
    expect(lines).toEqual([
      "*   Trying 10.0.3.2:8080...",
      "* connect to 10.0.3.2 port 8080 failed: Connection refused",
      "* Failed to connect to 10.0.3.2 port 8080 after 0 ms: Couldn't connect to server",
      "* Closing connection 0",
      "curl: (7) Failed to connect to 10.0.3.2 port 8080 after 0 ms: Couldn't connect to server",
    ]);
    expect(status).toBe(7);
  });

  it("ends with 7 when nobody has the address, after ARP gave up", () => {
    const { lines, status, seconds } = run(smallWorld(), "client", "curl -v http://10.0.1.77/");
    expect(lines.slice(1, 3)).toEqual([
      "* connect to 10.0.1.77 port 80 failed: No route to host",
      "* Failed to connect to 10.0.1.77 port 80 after 3000 ms: Couldn't connect to server",
    ]);
    expect(status).toBe(7);
    expect(seconds[1]).toBe(3);
  });

  it("ends with 7 when there is no route", () => {
    const world = smallWorld();
    world.host("router1");
    const { lines, status } = run(world, "router1", "curl -v http://192.0.2.1/");
    expect(lines[1]).toBe("* Immediate connect fail for 192.0.2.1: Network is unreachable");
    expect(status).toBe(7);
  });

  it("ends with 28 when the kernel gives up on a silent host", () => {
    const { world } = serving();
    loadRules(world, "server", DROP);
    const { lines, status } = run(world, "client", "curl http://10.0.3.2/");
    expect(lines[0]).toMatch(
      /^curl: \(28\) Failed to connect to 10\.0\.3\.2 port 80 after \d{6} ms: Couldn't connect to server$/,
    );
    expect(status).toBe(28);
  });

  it("ends with 28 after --connect-timeout and after -m", () => {
    const { world } = serving();
    loadRules(world, "server", DROP);
    expect(run(world, "client", "curl -v --connect-timeout 1 http://10.0.3.2/").lines).toEqual([
      "*   Trying 10.0.3.2:80...",
      "* ipv4 connect timeout after 1000ms, move on!",
      "* Failed to connect to 10.0.3.2 port 80 after 1000 ms: Timeout was reached",
      "* Closing connection 0",
      "curl: (28) Failed to connect to 10.0.3.2 port 80 after 1000 ms: Timeout was reached",
    ]);
    const { lines, status } = run(world, "client", "curl -m 2 http://10.0.3.2/");
    expect(lines).toEqual(["curl: (28) Connection timed out after 2000 milliseconds"]);
    expect(status).toBe(28);
  });

  it("ends with 28 when the server thinks too long", () => {
    const { world } = serving("http-server -w 10 80");
    const { lines, status } = run(world, "client", "curl -m 1 http://10.0.3.2/");
    expect(lines).toEqual(["curl: (28) Operation timed out after 1000 milliseconds with 0 bytes received"]);
    expect(status).toBe(28);
  });

  it("ends with 6 when the name cannot be resolved", () => {
    const { lines, status } = run(smallWorld(), "client", "curl http://nosuch.example/");
    expect(lines).toEqual(["curl: (6) Could not resolve host: nosuch.example"]);
    expect(status).toBe(6);
  });

  it("finds a server by its name", () => {
    const { world } = serving("http-server -d hi 80");
    start(world, "server", "dns-server web.example=10.0.3.2");
    world.host("client").files.set("/etc/resolv.conf", "nameserver 10.0.3.2\n");
    expect(run(world, "client", "curl -v http://web.example/").lines).toContain(
      "* Connected to web.example (10.0.3.2) port 80 (#0)",
    );
  });

  it("ends with 52 when the server says nothing, and with 56 when it resets", () => {
    const world = smallWorld();
    const answer = (say: (socket: TcpSocket) => void, port: number) =>
      start(world, "server", {
        name: "odd-server",
        serves: true,
        start({ tcp }) {
          const socket = tcp.open();
          socket.bind(0, port);
          socket.listen(8);
          socket.onAccept = (client) => {
            client.onReadable = () => {
              client.read();
              say(client);
            };
          };
        },
      });
    answer((client) => client.close(), 81);
    answer((client) => client.abort(), 82);
    expect(run(world, "client", "curl -v http://10.0.3.2:81/").lines.slice(-3)).toEqual([
      "* Empty reply from server",
      "* Closing connection 0",
      "curl: (52) Empty reply from server",
    ]);
    const { lines, status } = run(world, "client", "curl -v http://10.0.3.2:82/");
    expect(lines.slice(-3)).toEqual([
      "* Recv failure: Connection reset by peer",
      "* Closing connection 0",
      "curl: (56) Recv failure: Connection reset by peer",
    ]);
    expect(status).toBe(56);
  });

  it("ends with 22 for an HTTP error with -f, and with 0 without", () => {
    const { world } = serving("http-server -S 404 80");
    expect(run(world, "client", "curl http://10.0.3.2/")).toMatchObject({ lines: ["404 Not Found"], status: 0 });
    expect(run(world, "client", "curl -f http://10.0.3.2/")).toMatchObject({
      lines: ["curl: (22) The requested URL returned error: 404"],
      status: 22,
    });
  });

  it("says nothing with -s, but what -w asks for", () => {
    const { world } = serving("http-server -s 100000 80");
    const { lines } = run(
      world,
      "client",
      "curl -s -o /dev/null -w '%{http_code} %{remote_ip}:%{remote_port} %{size_download}' 10.0.3.2",
    );
    expect(lines).toEqual(["200 10.0.3.2:80 100000"]);
    expect(run(world, "client", "curl -s http://10.0.3.2:1/")).toMatchObject({ lines: [], status: 7 });
    expect(run(world, "client", "curl -sS http://10.0.3.2:1/").lines).toHaveLength(1);
  });

  it("sends headers and data as told, and asks for the head alone with -I", () => {
    const { world, server } = serving();
    const { lines } = run(world, "client", 'curl -v -H "Host: other" -H "X-A: b" -H Accept: -d a=b http://10.0.3.2/');
    expect(lines.filter((line) => line.startsWith("> "))).toEqual([
      "> POST / HTTP/1.1",
      "> Host: other",
      "> User-Agent: curl/7.88.1",
      "> X-A: b",
      "> Content-Length: 3",
      "> Content-Type: application/x-www-form-urlencoded",
      "> ",
    ]);
    expect(run(world, "client", "curl -I http://10.0.3.2/").lines[0]).toBe("HTTP/1.1 200 OK");
    expect(server.lines.at(-1)).toContain("HEAD / HTTP/1.1, 200");
  });

  it("goes as far as TLS for https and says so", () => {
    const { world } = serving("http-server 443");
    const { lines, status } = run(world, "client", "curl https://10.0.3.2/");
    expect(lines[0]).toMatch(/^curl: \(35\) hopscope models no TLS/);
    expect(status).toBe(35);
  });
});

describe("curl and its proxy", () => {
  const proxied = () => {
    const { world, server } = serving("http-server -d hi 80");
    const proxy = start(world, "router2", "http-proxy 3128");
    return { world, server, proxy };
  };

  it("asks the proxy that -x names", () => {
    const { world, server, proxy } = proxied();
    const { lines } = run(world, "client", "curl -v -x http://10.0.2.2:3128 http://10.0.3.2/x");
    expect(lines).toContain("> GET http://10.0.3.2/x HTTP/1.1");
    expect(lines).toContain("> Proxy-Connection: Keep-Alive");
    expect(lines.at(-2)).toBe("hi");
    expect(lines.at(-1)).toBe("* Closing connection 0");
    expect(server.lines[1]).toMatch(/^from 10\.0\.3\.1:\d+: GET \/x HTTP\/1\.1, 200$/);
    expect(proxy.lines[1]).toMatch(
      /^from 10\.0\.1\.2:\d+: GET http:\/\/10\.0\.3\.2\/x HTTP\/1\.1, to 10\.0\.3\.2:80 as 10\.0\.3\.1:\d+$/,
    );
  });

  it("asks the proxy of its environment, unless no_proxy names the host", () => {
    const { world, server } = proxied();
    const env = { http_proxy: "http://10.0.2.2:3128" };
    expect(run(world, "client", "curl -v http://10.0.3.2/", env).lines[0]).toBe(
      "* Uses proxy env variable http_proxy == 'http://10.0.2.2:3128'",
    );
    expect(server.lines.at(-1)).toContain("from 10.0.3.1:");
    run(world, "client", "curl http://10.0.3.2/", { ...env, no_proxy: "10.0.3.0/24" });
    expect(server.lines.at(-1)).toContain("from 10.0.1.2:");
    run(world, "client", "curl --noproxy '*' http://10.0.3.2/", env);
    expect(server.lines.at(-1)).toContain("from 10.0.1.2:");
  });

  it("lets the proxy resolve the name", () => {
    const { world } = proxied();
    world.host("router2").files.set("/etc/hosts", "10.0.3.2 web.example\n");
    expect(run(world, "client", "curl -x 10.0.2.2:3128 http://web.example/").lines).toEqual(["hi"]);
    expect(run(world, "client", "curl -x 10.0.2.2:3128 -w '%{http_code}' http://nosuch.example/").lines).toEqual([
      "nosuch.example: Temporary failure in name resolution",
      "502",
    ]);
    expect(run(world, "client", "curl -x nosuch.example:1 http://10.0.3.2/")).toMatchObject({
      lines: ["curl: (5) Could not resolve proxy: nosuch.example"],
      status: 5,
    });
  });

  it("asks for a tunnel with -p", () => {
    const { world, server } = proxied();
    const { lines } = run(world, "client", "curl -v -p -x 10.0.2.2:3128 http://10.0.3.2/y");
    expect(lines).toEqual([
      "*   Trying 10.0.2.2:3128...",
      "* Connected to 10.0.2.2 (10.0.2.2) port 3128 (#0)",
      "* allocate connect buffer",
      "* Establish HTTP proxy tunnel to 10.0.3.2:80",
      "> CONNECT 10.0.3.2:80 HTTP/1.1",
      "> Host: 10.0.3.2:80",
      "> User-Agent: curl/7.88.1",
      "> Proxy-Connection: Keep-Alive",
      "> ",
      "< HTTP/1.1 200 Connection established",
      "< ",
      "* CONNECT phase completed",
      "* CONNECT tunnel established, response 200",
      "> GET /y HTTP/1.1",
      "> Host: 10.0.3.2",
      "> User-Agent: curl/7.88.1",
      "> Accept: */*",
      "> ",
      "< HTTP/1.1 200 OK",
      "< Server: hopscope",
      "< Content-Type: text/plain",
      "< Content-Length: 3",
      "< ",
      "hi",
      "* Connection #0 to host 10.0.2.2 left intact",
    ]);
    expect(server.lines[1]).toContain("from 10.0.3.1:");
  });

  it("ends with 56 when the proxy refuses the tunnel", () => {
    const { world } = proxied();
    const { lines, status } = run(world, "client", "curl -x 10.0.2.2:3128 https://10.0.3.2:444/");
    expect(lines).toEqual(["curl: (56) CONNECT tunnel failed, response 502"]);
    expect(status).toBe(56);
  });
});
