import { describe, expect, it } from "vitest";
import { Connection, Tuple } from "../../../src/kernel/conntrack/connection.ts";
import { type Expectation, Expectations } from "../../../src/kernel/conntrack/expectation.ts";
import { DEFAULT_ZONE } from "../../../src/kernel/conntrack/zone.ts";

function master(): Connection {
  const connection = new Connection(1, 0);
  connection.confirmed = true;
  return connection;
}

const expectation = (of: Connection, port: number, expires = 300e9): Expectation => ({
  master: of,
  source: 9,
  destination: 1,
  protocol: 6,
  port,
  expires,
  follow: null,
});

const tuple = (port: number, source = 9) => new Tuple().set(source, 1, 6, 1234, port);

describe("expectations", () => {
  it("are fulfilled once, by any source port of the one address", () => {
    const all = new Expectations();
    all.add(expectation(master(), 4000), 1, 0);
    expect(all.take(tuple(4001), DEFAULT_ZONE, 0)).toBeNull();
    expect(all.take(tuple(4000, 8), DEFAULT_ZONE, 0)).toBeNull();
    expect(all.take(tuple(4000), DEFAULT_ZONE, 0)?.port).toBe(4000);
    expect(all.take(tuple(4000), DEFAULT_ZONE, 0)).toBeNull();
  });

  it("end with their time and with their master", () => {
    const all = new Expectations();
    const [one, two] = [master(), master()];
    all.add(expectation(one, 4000, 300e9), 1, 0);
    expect(all.take(tuple(4000), DEFAULT_ZONE, 300e9)).toBeNull();
    all.add(expectation(two, 4001), 1, 0);
    all.forget(two);
    expect(all.take(tuple(4001), DEFAULT_ZONE, 0)).toBeNull();
    expect(all.size).toBe(1);
  });

  it("do not belong to a flow that is not confirmed", () => {
    const all = new Expectations();
    all.add(expectation(new Connection(1, 0), 4000), 1, 0);
    expect(all.take(tuple(4000), DEFAULT_ZONE, 0)).toBeNull();
  });

  it("clash between two flows; a flow that waits for more than it may loses its oldest", () => {
    const all = new Expectations();
    const [one, two] = [master(), master()];
    expect(all.add(expectation(one, 4000), 1, 0)).toBe(true);
    expect(all.add(expectation(two, 4000), 1, 0)).toBe(false);
    expect(all.add(expectation(one, 4000), 1, 0)).toBe(true);
    expect(all.add(expectation(one, 4001), 1, 0)).toBe(true);
    expect(all.size).toBe(1);
    expect(all.take(tuple(4001), DEFAULT_ZONE, 0)).not.toBeNull();
  });
});
