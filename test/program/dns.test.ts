import { describe, expect, it } from "vitest";
import { Capture } from "../../src/trace/capture.ts";
import { parseDns } from "../../src/wire/dns.ts";
import type { World } from "../../src/world/world.ts";
import { loadRules, run, smallWorld, start } from "./small-world.ts";

/** The small world with a DNS server in `server`, and a client that asks it. */
function dnsWorld(server = "dns-server web.example=10.0.3.2 www.example=web.example", resolv = ""): World {
  const world = smallWorld();
  start(world, "server", server);
  world.host("client").files.set("/etc/resolv.conf", `nameserver 10.0.3.2\n${resolv}`);
  return world;
}

const DROP_DNS = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p udp --dport 53 -j DROP\nCOMMIT\n";

describe("nslookup", () => {
  it("prints what nslookup of BIND prints", () => {
    const { lines, status } = run(dnsWorld(), "client", "nslookup web.example");
    expect(lines).toEqual([
      "Server:\t\t10.0.3.2",
      "Address:\t10.0.3.2#53",
      "",
      "Non-authoritative answer:",
      "Name:\tweb.example",
      "Address: 10.0.3.2",
    ]);
    expect(status).toBe(0);
  });

  it("follows an alias", () => {
    const { lines } = run(dnsWorld(), "client", "nslookup www.example");
    expect(lines.slice(4)).toEqual([
      "www.example\tcanonical name = web.example.",
      "Name:\tweb.example",
      "Address: 10.0.3.2",
    ]);
  });

  it("says that a name does not exist", () => {
    const { lines, status } = run(dnsWorld(), "client", "nslookup nx.example");
    expect(lines.at(-1)).toBe("** server can't find nx.example: NXDOMAIN");
    expect(status).toBe(1);
  });

  it("tries the search list for a name without dots", () => {
    const { lines } = run(dnsWorld(undefined, "search a.test example\n"), "client", "nslookup web");
    expect(lines.slice(-2)).toEqual(["Name:\tweb.example", "Address: 10.0.3.2"]);
  });

  it("asks the server that it is told to", () => {
    const { lines } = run(
      dnsWorld("dns-server -b 10.0.3.2 10.10.10.10.example=10.0.0.1"),
      "client",
      "nslookup x.y 10.0.3.2",
    );
    expect(lines[0]).toBe("Server:\t\t10.0.3.2");
  });

  it("says why no server answered", () => {
    const closed = smallWorld();
    closed.host("client").files.set("/etc/resolv.conf", "nameserver 10.0.3.2\noptions attempts:1\n");
    expect(run(closed, "client", "nslookup web.example").lines).toEqual([
      ";; communications error to 10.0.3.2#53: connection refused",
      ";; no servers could be reached",
    ]);
    const silent = dnsWorld(undefined, "options attempts:1 timeout:3\n");
    loadRules(silent, "server", DROP_DNS);
    const { lines, status, seconds } = run(silent, "client", "nslookup web.example");
    expect(lines).toEqual([";; communications error to 10.0.3.2#53: timed out", ";; no servers could be reached"]);
    expect(status).toBe(1);
    expect(seconds[0]).toBe(3);
  });
});

describe("dig", () => {
  it("prints the whole answer as dig does", () => {
    const { lines, status } = run(dnsWorld(), "client", "dig www.example");
    expect(lines.map((line) => line.replace(/id: \d+/, "id: N"))).toEqual([
      "",
      "; <<>> DiG 9.18 <<>> www.example",
      ";; global options: +cmd",
      ";; Got answer:",
      ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: N",
      ";; flags: qr rd ra; QUERY: 1, ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 0",
      "",
      ";; QUESTION SECTION:",
      ";www.example.\t\t\tIN\tA",
      "",
      ";; ANSWER SECTION:",
      "www.example.\t\t600\tIN\tCNAME\tweb.example.",
      "web.example.\t\t600\tIN\tA\t10.0.3.2",
      "",
      ";; Query time: 0 msec",
      ";; SERVER: 10.0.3.2#53(10.0.3.2) (UDP)",
      ";; MSG SIZE  rcvd: 63",
      "",
    ]);
    expect(status).toBe(0);
  });

  it("prints addresses alone with +short, and names for -x", () => {
    expect(run(dnsWorld(), "client", "dig +short www.example").lines).toEqual(["web.example", "10.0.3.2"]);
    expect(run(dnsWorld(), "client", "dig +short -x 10.0.3.2").lines).toEqual(["web.example"]);
  });

  it("ends with 9 when nobody answers, after as many tries as it is told", () => {
    const world = dnsWorld();
    loadRules(world, "server", DROP_DNS);
    const { lines, status, seconds } = run(world, "client", "dig @10.0.3.2 +time=2 +tries=2 web.example");
    expect(lines.filter((line) => line.endsWith("timed out"))).toHaveLength(2);
    expect(lines.at(-1)).toBe(";; no servers could be reached");
    expect(status).toBe(9);
    expect(seconds.at(-1)).toBe(4);
  });
});

describe("dns-server", () => {
  it("says who asked for what", () => {
    const world = smallWorld();
    const server = start(world, "server", "dns-server web.example=10.0.3.2");
    run(world, "client", "dig @10.0.3.2 web.example");
    expect(server.lines[0]).toBe("listening on 0.0.0.0:53/udp");
    expect(server.lines[2]).toMatch(/^A web\.example from 10\.0\.1\.2:\d+: 10\.0\.3\.2$/);
  });

  it("passes on what it does not know, and passes the answer back as it came", () => {
    const world = dnsWorld();
    const middle = start(world, "router1", "dns-server -f 10.0.3.2 own.example=10.0.1.1");
    const ask = (name: string) => run(world, "client", `dig @10.0.1.1 +short ${name}`).lines;
    expect(ask("web.example")).toEqual(["10.0.3.2"]);
    expect(ask("own.example")).toEqual(["10.0.1.1"]);
    expect(middle.lines.filter((line) => line.includes("asks 10.0.3.2"))).toHaveLength(1);
    expect(run(world, "client", "dig @10.0.1.1 nx.example").lines.join()).toContain("status: NXDOMAIN");
  });

  it("asks the next upstream when one is silent or refuses, and answers SERVFAIL when all do", () => {
    const world = dnsWorld();
    start(world, "router1", "dns-server -W 1 -f 10.0.2.2 -f 10.0.2.77 -f 10.0.3.2");
    expect(run(world, "client", "dig @10.0.1.1 +short web.example").lines).toEqual(["10.0.3.2"]);
    start(world, "router2", "dns-server -W 1 -f 10.0.2.77");
    expect(run(world, "client", "dig @10.0.2.2 x.example").lines.join()).toContain("status: SERVFAIL");
  });
});

describe("the resolver", () => {
  const names = (world: World, command: string) => {
    const asked: string[] = [];
    const server = start(world, "router1", "dns-server known.b.test=10.0.3.2");
    world
      .host("client")
      .files.set(
        "/etc/resolv.conf",
        `nameserver 10.0.1.1\n${world.host("client").files.get("/etc/resolv.conf") ?? ""}`,
      );
    const { lines, status } = run(world, "client", command);
    for (const line of server.lines) if (line.startsWith("A ")) asked.push(line.split(" ")[1]!);
    return { asked, lines, status };
  };
  const searching = (options: string) => {
    const world = smallWorld();
    world.host("client").files.set("/etc/resolv.conf", `search a.test b.test\n${options}\n`);
    return world;
  };

  it("asks for a name with dots as it is, then with the search list", () => {
    expect(names(searching(""), "ping -c 1 -n nx.y").asked).toEqual(["nx.y", "nx.y.a.test", "nx.y.b.test"]);
  });

  it("asks for a name without dots with the search list first", () => {
    const { asked, lines, status } = names(searching(""), "ping -c 1 -n nx");
    expect(asked).toEqual(["nx.a.test", "nx.b.test", "nx"]);
    expect(lines).toEqual(["ping: nx: Name or service not known"]);
    expect(status).toBe(2);
  });

  it("counts dots as ndots says, and leaves the search list out for a name that ends with a dot", () => {
    expect(names(searching("options ndots:3"), "ping -c 1 -n a.b.c").asked.at(0)).toBe("a.b.c.a.test");
    expect(names(searching("options ndots:0"), "ping -c 1 -n nx").asked.at(0)).toBe("nx");
    expect(names(searching(""), "ping -c 1 -n nx.").asked).toEqual(["nx"]);
  });

  it("stops at the first name that has an address", () => {
    const { asked, lines } = names(searching(""), "ping -c 1 -n known");
    expect(asked).toEqual(["known.a.test", "known.b.test"]);
    expect(lines[0]).toBe("PING known (10.0.3.2) 56(84) bytes of data.");
  });

  it("looks into /etc/hosts first", () => {
    const world = smallWorld();
    world.host("client").files.set("/etc/hosts", "127.0.0.1\tlocalhost\n10.0.3.2 db DB.example # the database\n");
    expect(run(world, "client", "ping -c 1 -n db.EXAMPLE").lines[1]).toContain("from 10.0.3.2");
  });

  it("waits five seconds for each server, twice, before it gives up", () => {
    const world = dnsWorld();
    loadRules(world, "server", DROP_DNS);
    const { lines, seconds } = run(world, "client", "ping -c 1 web.example");
    expect(lines).toEqual(["ping: web.example: Temporary failure in name resolution"]);
    expect(seconds).toEqual([10]);
  });

  it("goes on to the next server at once when one refuses", () => {
    const world = dnsWorld();
    world.host("client").files.set("/etc/resolv.conf", "nameserver 10.0.1.1\nnameserver 10.0.3.2\n");
    const { lines, seconds } = run(world, "client", "ping -c 1 -n web.example");
    expect(lines[0]).toBe("PING web.example (10.0.3.2) 56(84) bytes of data.");
    expect(seconds[0]).toBe(0);
  });

  it("asks 127.0.0.1 where there is no resolv.conf", () => {
    const world = smallWorld();
    start(world, "client", "dns-server web.example=10.0.3.2");
    expect(run(world, "client", "traceroute -n web.example").lines[0]).toBe(
      "traceroute to web.example (10.0.3.2), 30 hops max, 60 byte packets",
    );
  });
});

/** The questions that arrive at the server, as `TYPE from PORT`, with the protocol that carries them. */
function questionsAt(world: World): string[] {
  const capture = new Capture(true);
  world.fabric.capture = capture;
  const { place } = world.device("server", "eth0");
  return new Proxy([] as string[], {
    get: (_, key) =>
      Reflect.get(
        capture.frames.flatMap(({ place: at, direction, bytes }) => {
          if (at !== place || direction !== "in" || bytes[23] !== 17) return [];
          const query = parseDns(bytes.subarray(42));
          return query === null ? [] : [`${query.questions[0]!.type} from ${(bytes[34]! << 8) | bytes[35]!}`];
        }),
        key,
      ),
  });
}

describe("the resolver", () => {
  const COMMAND = "traceroute -n -q 1 -m 1 web.example";

  it("asks for IPv4 and IPv6 addresses in the same moment, by one socket", () => {
    const world = dnsWorld();
    const asked = questionsAt(world);
    expect(run(world, "client", COMMAND).lines[0]).toContain("(10.0.3.2)");
    const questions = [...asked];
    expect(questions.map((question) => question.split(" ")[0])).toEqual(["A", "AAAA"]);
    expect(new Set(questions.map((question) => question.split(" ")[2])).size).toBe(1);
  });

  it("asks one after the other where one of both stays unanswered", () => {
    const world = dnsWorld(undefined, "options timeout:1\n");
    // It takes one question of a flow, and the next of that flow after a second.
    const limit =
      "-m hashlimit --hashlimit-upto 1/second --hashlimit-burst 1 --hashlimit-mode srcport --hashlimit-name a";
    loadRules(
      world,
      "server",
      `*filter\n-A INPUT -p udp --dport 53 ${limit} -j ACCEPT\n-A INPUT -p udp --dport 53 -j DROP\nCOMMIT\n`,
    );
    const asked = questionsAt(world);
    const { lines, seconds } = run(world, "client", COMMAND);
    expect(lines[0]).toContain("(10.0.3.2)");
    expect([...asked].map((question) => question.split(" ")[0])).toEqual(["A", "AAAA", "A", "AAAA"]);
    expect(seconds[0]).toBe(2);
  });

  it("has an address where the name has one of one family only, and NOERROR without data for the other", () => {
    const world = dnsWorld("dns-server web.example=10.0.3.2");
    const server = run(world, "client", "dig web.example AAAA").lines;
    expect(server[4]).toContain("status: NOERROR");
    expect(server[5]).toContain("ANSWER: 0");
    expect(run(world, "client", "traceroute -n -m 1 -q 1 web.example").status).toBe(0);
  });
});

describe("what does not fit a datagram", () => {
  const MANY = Array.from({ length: 40 }, (_, i) => `many.example=10.0.9.${i + 1}`).join(" ");

  it("is asked for by TCP", () => {
    const world = dnsWorld(`dns-server ${MANY}`);
    const { lines } = run(world, "client", "dig many.example");
    expect(lines[0]).toBe(";; Truncated, retrying in TCP mode.");
    expect(lines).toContain(";; SERVER: 10.0.3.2#53(10.0.3.2) (TCP)");
    expect(lines.filter((line) => line.includes("10.0.9."))).toHaveLength(40);
  });

  it("is found by the resolver too, and through a server that passes questions on", () => {
    const world = dnsWorld(`dns-server ${MANY}`);
    expect(run(world, "client", "traceroute -n -m 1 -q 1 many.example").lines[0]).toContain("(10.0.9.1)");
    start(world, "router2", "dns-server -f 10.0.3.2");
    const { lines } = run(world, "client", "dig @10.0.2.2 +short many.example");
    expect(lines).toHaveLength(41);
  });

  it("comes by TCP at once with +tcp", () => {
    const { lines } = run(dnsWorld(), "client", "dig +tcp web.example");
    expect(lines).toContain(";; SERVER: 10.0.3.2#53(10.0.3.2) (TCP)");
  });
});
