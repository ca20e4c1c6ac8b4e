import { expect, it } from "vitest";
import { parsePublishedPort } from "../../src/translator/published-ports.ts";
import { readTables } from "../../src/translator/tables.ts";
import { formatIpv4 } from "../../src/wire/address.ts";
import { bytes, Desktop, dial, SERVER, serve } from "./desktop.ts";

it("tells endpoints, flows and ports as they are now", () => {
  const desktop = new Desktop();
  serve(desktop.server, 80);
  desktop.translator.guests[0]!.published.add(parsePublishedPort("tcp:0.0.0.0:8080:tcp:172.17.0.2:80"));
  dial(desktop.vm, SERVER, 80);
  desktop.vm.udp.open().send(bytes("x"), { address: SERVER, port: 9000 });
  desktop.vm.ping.socket(7).send(SERVER, 1);
  desktop.pass(20);
  const { endpoints, flows, ports } = readTables(desktop.translator);
  expect(endpoints).toMatchObject([{ guest: "vm", role: "remote", remote: SERVER, connections: 1, idle: 20e9 }]);
  expect(flows.map(({ protocol, state, peer, idle, expires }) => [protocol, state, peer?.port, idle, expires])).toEqual(
    [
      ["tcp", "ESTABLISHED", 80, null, null],
      ["udp", "", undefined, 20e9, 40e9],
      ["icmp", "", 7, 20e9, 40e9],
    ],
  );
  expect(formatIpv4(flows[0]!.outside!.address)).toBe("198.51.100.7");
  expect(ports).toMatchObject([{ guest: "vm", protocol: "tcp", outside: { port: 8080 }, inside: { port: 80 } }]);
});
