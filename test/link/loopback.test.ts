import { describe, expect, it } from "vitest";
import { Fabric } from "../../src/link/fabric.ts";
import { Loopback } from "../../src/link/loopback.ts";
import { dropped, frame, Inbox, outstanding } from "./devices.ts";

const NO_MAC = { high: 0, low: 0 };

function loopback() {
  const fabric = new Fabric();
  const device = new Loopback(fabric, "web");
  const inbox = new Inbox();
  device.receiver = inbox;
  device.setUp(true);
  return { fabric, device, inbox };
}

describe("lo", () => {
  it("receives what it sends, in the same instant and without recursion", () => {
    const { fabric, device, inbox } = loopback();
    const packet = fabric.inject(frame(NO_MAC), device.place);
    fabric.scheduler.disable();
    device.send(packet);
    expect(inbox.packets).toEqual([]);
    fabric.scheduler.enable();
    expect(inbox.packets).toEqual([packet]);
    expect(fabric.scheduler.now).toBe(0);
    expect(outstanding(fabric)).toBe(1);
  });

  it("means the host", () => {
    const { fabric, device, inbox } = loopback();
    const packet = fabric.inject(frame(NO_MAC), device.place);
    packet.type = "otherhost";
    device.send(packet);
    fabric.scheduler.run();
    expect(inbox.packets[0]).toMatchObject({ type: "host", arrival: device.index });
  });

  it("keeps route, connection and mark, and lets go of the sender's socket", () => {
    const { fabric, device, inbox } = loopback();
    const packet = fabric.inject(frame(NO_MAC), device.place);
    const [connection, route] = [{}, {}];
    Object.assign(packet, { connection, connectionState: "NEW", route, mark: 5, socket: {} });
    device.send(packet);
    fabric.scheduler.run();
    expect(inbox.packets[0]).toMatchObject({ connectionState: "NEW", mark: 5, socket: null });
    expect(inbox.packets[0]!.connection).toBe(connection);
    expect(inbox.packets[0]!.route).toBe(route);
  });

  it("counts bytes without the Ethernet header, as loopback_xmit() does", () => {
    const { fabric, device } = loopback();
    device.send(fabric.inject(frame(NO_MAC, 114), device.place));
    fabric.scheduler.run();
    expect(device.counters).toEqual({
      rxPackets: 1,
      rxBytes: 100,
      rxDropped: 0,
      txPackets: 1,
      txBytes: 100,
      txDropped: 0,
    });
  });

  it("carries the longest IPv4 datagram whole", () => {
    const { fabric, device, inbox } = loopback();
    device.send(fabric.inject(frame(NO_MAC, 14 + 65_535), device.place));
    fabric.scheduler.run();
    expect(inbox.packets[0]!.length).toBe(14 + 65_535);
  });

  it("drops while it is down", () => {
    const { fabric, device } = loopback();
    device.setUp(false);
    device.send(fabric.inject(frame(NO_MAC), device.place));
    expect(dropped(fabric, "QDISC_DROP")).toBe(1);
    expect(outstanding(fabric)).toBe(0);
  });

  it("has Linux's name and MTU", () => {
    const { device } = loopback();
    expect([device.name, device.mtu, device.macHigh, device.macLow]).toEqual(["lo", 65_536, 0, 0]);
  });
});
