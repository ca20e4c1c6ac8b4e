import { describe, expect, it } from "vitest";
import { Dummy } from "../../src/link/dummy.ts";
import { Fabric } from "../../src/link/fabric.ts";
import { Capture } from "../../src/trace/capture.ts";
import { ROW } from "../../src/trace/recorder.ts";
import { STEP } from "../../src/trace/step.ts";
import { BROADCAST_MAC, type Mac, parseMac } from "../../src/wire/address.ts";
import { cable, dropped, frame, frameOf, Inbox, LEFT_MAC, outstanding, RIGHT_MAC } from "./devices.ts";

function dummy(): { fabric: Fabric; device: Dummy; inbox: Inbox } {
  const fabric = new Fabric();
  const device = new Dummy(fabric, { name: "dummy0", namespace: "root", mac: RIGHT_MAC });
  const inbox = new Inbox();
  device.receiver = inbox;
  device.setUp(true);
  return { fabric, device, inbox };
}

describe("a device that is down", () => {
  it("drops what it should send", () => {
    const { fabric, device } = dummy();
    device.setUp(false);
    device.send(fabric.inject(frame(RIGHT_MAC), device.place));
    expect(dropped(fabric, "QDISC_DROP")).toBe(1);
    expect(device.counters.txPackets).toBe(0);
    expect(outstanding(fabric)).toBe(0);
  });

  it("drops what arrives and counts it as a receive drop", () => {
    const { fabric, device, inbox } = dummy();
    device.setUp(false);
    device.receive(fabric.inject(frame(RIGHT_MAC), device.place));
    expect(dropped(fabric, "DEV_READY")).toBe(1);
    expect(device.counters).toMatchObject({ rxPackets: 0, rxDropped: 1 });
    expect(inbox.packets).toEqual([]);
  });

  it("is what every device starts as", () => {
    const fabric = new Fabric();
    expect(new Dummy(fabric, { name: "d", namespace: "root", mac: LEFT_MAC }).up).toBe(false);
  });
});

describe("a device that receives", () => {
  it("hands the packet to its receiver, tells it where it is, and counts frame bytes", () => {
    const { fabric, device, inbox } = dummy();
    const packet = fabric.inject(frame(RIGHT_MAC, 100), device.place);
    device.receive(packet);
    expect(inbox.packets).toEqual([packet]);
    expect([packet.arrival, packet.device]).toEqual([device.index, device.index]);
    expect(device.counters).toEqual({
      rxPackets: 1,
      rxBytes: 100,
      rxDropped: 0,
      txPackets: 0,
      txBytes: 0,
      txDropped: 0,
    });
  });

  it("drops it where nobody takes it, which Linux counts as a receive drop too", () => {
    const { fabric, device } = dummy();
    device.receiver = null;
    device.receive(fabric.inject(frame(RIGHT_MAC), device.place));
    expect(dropped(fabric, "UNHANDLED_PROTO")).toBe(1);
    expect(outstanding(fabric)).toBe(0);
    expect(device.counters).toMatchObject({ rxPackets: 1, rxDropped: 1 });
  });
});

describe("a device that sends", () => {
  it("counts frame bytes and tells the packet where it is, not where it came from", () => {
    const { fabric, device } = dummy();
    const packet = fabric.inject(frame(BROADCAST_MAC, 100), device.place);
    packet.arrival = 7;
    device.send(packet);
    expect([packet.device, packet.arrival]).toEqual([device.index, 7]);
    expect(device.counters).toEqual({
      rxPackets: 0,
      rxBytes: 0,
      rxDropped: 0,
      txPackets: 1,
      txBytes: 100,
      txDropped: 0,
    });
  });

  it("ends the packet when it is a dummy", () => {
    const { fabric, device } = dummy();
    device.send(fabric.inject(frame(BROADCAST_MAC), device.place));
    expect(fabric.books.consumed).toBe(1);
    expect(outstanding(fabric)).toBe(0);
  });
});

describe("whom a frame means", () => {
  it.each<[string, Mac, string]>([
    ["the device's own address", RIGHT_MAC, "host"],
    ["another's address", LEFT_MAC, "otherhost"],
    ["an address that differs in its high bytes only", parseMac("06:00:00:00:00:02"), "otherhost"],
    ["everybody", BROADCAST_MAC, "broadcast"],
    ["an IPv4 multicast group", parseMac("01:00:5e:00:00:01"), "multicast"],
    ["a group that is almost everybody", parseMac("ff:ff:ff:ff:ff:fe"), "multicast"],
  ])("for %s", (_, mac, type) => {
    const { fabric, device } = dummy();
    const packet = fabric.inject(frame(mac), device.place);
    device.classify(packet);
    expect(packet.type).toBe(type);
  });
});

it("has an index and a place of its own", () => {
  const { left, right } = cable();
  expect([left.index, right.index]).toEqual([1, 2]);
  expect(left.place).not.toBe(right.place);
});

describe("a device's watchers", () => {
  it("hear of a change once, and of no change never", () => {
    const { device } = dummy();
    const heard: boolean[] = [];
    device.watchers.push({ deviceChanged: (changed) => heard.push(changed.up) });
    device.setUp(true);
    device.setUp(false);
    device.setUp(false);
    device.setUp(true);
    expect(heard).toEqual([false, true]);
  });
});

describe("the trace and the capture", () => {
  it("see a frame leave one end of a cable and arrive at the other", () => {
    const { fabric, left, right } = cable();
    const trace = fabric.record();
    left.send(fabric.inject(frame(RIGHT_MAC, 100), left.place));
    fabric.scheduler.run();
    const steps: number[][] = [];
    for (let row = 0; row < trace.length; row++) {
      const [kind, , place, bytes] = trace.rows.subarray(row * ROW);
      if (kind === STEP.tx || kind === STEP.rx) steps.push([kind, place!, bytes!]);
    }
    expect(steps).toEqual([
      [STEP.tx, left.place, 100],
      [STEP.rx, right.place, 100],
    ]);
  });

  it("keep the frame's bytes as they were at each place", () => {
    const { fabric, left, right, atRight } = cable();
    fabric.capture = new Capture();
    const bytes = frame(RIGHT_MAC, 77);
    left.send(fabric.inject(bytes, left.place));
    fabric.scheduler.run();
    atRight.packets[0]!.bytes.fill(0);
    expect(fabric.capture.frames.map(({ place, direction }) => [place, direction])).toEqual([
      [left.place, "out"],
      [right.place, "in"],
    ]);
    expect(fabric.capture.frames[1]!.type).toBe("host");
    for (const captured of fabric.capture.frames) expect(captured.bytes).toEqual(bytes);
  });

  it("see nothing of a frame that a device refused to send", () => {
    const { fabric, left } = cable();
    fabric.capture = new Capture();
    left.setUp(false);
    left.send(fabric.inject(frame(RIGHT_MAC), left.place));
    expect(fabric.capture.frames).toEqual([]);
  });

  it("carry the device's names", () => {
    const { fabric, left } = cable();
    expect(fabric.names.get(left.place)).toEqual({ kind: "device", namespace: "web", device: "eth0" });
  });
});

it("hands on exactly the frame's bytes", () => {
  const { fabric, left, atRight } = cable();
  left.send(fabric.inject(frame(RIGHT_MAC, 1514), left.place));
  fabric.scheduler.run();
  expect(frameOf(atRight.packets[0]!)).toEqual(frame(RIGHT_MAC, 1514));
});
