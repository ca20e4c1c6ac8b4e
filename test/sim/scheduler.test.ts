import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Scheduler, type Sink, type Timer } from "../../src/sim/scheduler.ts";

function sinkInto<T>(list: T[]): Sink<T> {
  return { receive: (item) => void list.push(item) };
}

describe("this instant", () => {
  it("hands items over in the order in which they were deferred", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 5000 }), (items) => {
        const scheduler = new Scheduler();
        const got: number[] = [];
        for (const item of items) scheduler.defer(sinkInto(got), item);
        expect(scheduler.run()).toBe("idle");
        expect(got).toEqual(items);
      }),
    );
  });

  it("hands over what is deferred meanwhile after all that already waits", () => {
    const scheduler = new Scheduler();
    const got: string[] = [];
    const last = sinkInto(got);
    const first: Sink<string> = {
      receive(item) {
        got.push(item);
        scheduler.defer(last, `${item}, again`);
      },
    };
    scheduler.defer(first, "a");
    scheduler.defer(first, "b");
    scheduler.run();
    expect(got).toEqual(["a", "b", "a, again", "b, again"]);
  });

  it("keeps the order when the ring grows while its head is not at its start", () => {
    const scheduler = new Scheduler();
    const got: number[] = [];
    const last = sinkInto(got);
    let next = 0;
    const spread: Sink<number> = {
      receive(count) {
        for (let i = 0; i < count; i++) scheduler.defer(last, next++);
      },
    };
    for (let i = 0; i < 700; i++) scheduler.defer(spread, 7);
    scheduler.run();
    expect(got).toEqual(Array.from({ length: 4900 }, (_, i) => i));
  });

  it("counts the items that wait", () => {
    const scheduler = new Scheduler();
    scheduler.defer(sinkInto([]), 1);
    scheduler.defer(sinkInto([]), 2);
    expect(scheduler.backlog).toBe(2);
    scheduler.run();
    expect(scheduler.backlog).toBe(0);
  });

  it("runs before any timer, even one that is due", () => {
    const scheduler = new Scheduler();
    const got: string[] = [];
    scheduler.timer(() => got.push("timer")).arm(0);
    scheduler.defer(sinkInto(got), "item");
    scheduler.run();
    expect(got).toEqual(["item", "timer"]);
  });

  it("ends before the next timer of the same time fires", () => {
    const scheduler = new Scheduler();
    const got: string[] = [];
    const sink = sinkInto(got);
    for (const name of ["one", "two"]) {
      scheduler
        .timer(() => {
          got.push(name);
          scheduler.defer(sink, `${name}'s item`);
        })
        .arm(5);
    }
    scheduler.run();
    expect(got).toEqual(["one", "one's item", "two", "two's item"]);
  });
});

describe("timers", () => {
  it("fire by time, and at one time in the order in which they were armed", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 }), { maxLength: 200 }), (times) => {
        const scheduler = new Scheduler();
        const got: [number, number][] = [];
        for (const [i, at] of times.entries()) scheduler.timer(() => got.push([scheduler.now, i])).arm(at);
        scheduler.run();
        const expected = times.map((at, i): [number, number] => [at, i]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        expect(got).toEqual(expected);
      }),
    );
  });

  type Step =
    | { readonly act: "arm"; readonly timer: number; readonly at: number }
    | { readonly act: "cancel"; readonly timer: number };
  const timerNumber = fc.nat({ max: 9 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ act: fc.constant("arm" as const), timer: timerNumber, at: fc.nat({ max: 15 }) }),
    },
    { weight: 1, arbitrary: fc.record({ act: fc.constant("cancel" as const), timer: timerNumber }) },
  );

  it("fire as a sorted list would after any series of arm, re-arm and cancel", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const scheduler = new Scheduler();
        const got: string[] = [];
        const timers = Array.from({ length: 10 }, (_, i) => scheduler.timer(() => got.push(`${i}@${scheduler.now}`)));
        let list: { timer: number; at: number }[] = [];
        for (const s of steps) {
          list = list.filter((entry) => entry.timer !== s.timer);
          if (s.act === "cancel") timers[s.timer]!.cancel();
          else {
            timers[s.timer]!.arm(s.at);
            list.push({ timer: s.timer, at: s.at });
          }
          expect(timers.map((timer) => timer.armed)).toEqual(timers.map((_, i) => list.some((e) => e.timer === i)));
          expect(scheduler.next).toBe(Math.min(...list.map((entry) => entry.at)));
        }
        scheduler.run();
        expect(got).toEqual(list.sort((a, b) => a.at - b.at).map((entry) => `${entry.timer}@${entry.at}`));
        expect(timers.some((timer) => timer.armed)).toBe(false);
      }),
    );
  });

  it("may be armed again and cancelled from inside an action", () => {
    const scheduler = new Scheduler();
    const got: string[] = [];
    const victim = scheduler.timer(() => got.push("victim"));
    let left = 3;
    const tick: Timer = scheduler.timer(() => {
      got.push(`tick ${scheduler.now}`);
      victim.cancel();
      if (--left > 0) tick.armIn(10);
    });
    tick.arm(10);
    victim.arm(25);
    scheduler.run();
    expect(got).toEqual(["tick 10", "tick 20", "tick 30"]);
    expect(tick.armed).toBe(false);
  });

  it("take their delay from the present time", () => {
    const scheduler = new Scheduler();
    const times: number[] = [];
    const second = scheduler.timer(() => times.push(scheduler.now));
    scheduler.timer(() => second.armIn(7)).arm(100);
    scheduler.run();
    expect(times).toEqual([107]);
  });
});

describe("background timers", () => {
  it("do not keep a run going that has no end", () => {
    const scheduler = new Scheduler();
    const got: string[] = [];
    const ageing: Timer = scheduler.timer(() => {
      got.push(`age ${scheduler.now}`);
      ageing.armIn(10);
    }, true);
    ageing.arm(10);
    scheduler.timer(() => got.push(`work ${scheduler.now}`)).arm(25);
    expect(scheduler.run()).toBe("idle");
    expect(got).toEqual(["age 10", "age 20", "work 25"]);
    expect(scheduler.now).toBe(25);
    expect(ageing.armed).toBe(true);
  });

  it("fire like any other in a run to a given time", () => {
    const scheduler = new Scheduler();
    let fired = 0;
    const ageing: Timer = scheduler.timer(() => {
      fired++;
      ageing.armIn(10);
    }, true);
    ageing.arm(10);
    expect(scheduler.run(35)).toBe("until");
    expect(fired).toBe(3);
    expect(scheduler.now).toBe(35);
  });

  it("are told from work however often timers are armed, moved and cancelled", () => {
    const step = fc.record({ timer: fc.nat({ max: 5 }), at: fc.option(fc.nat({ max: 20 })) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const scheduler = new Scheduler();
        const timers = Array.from({ length: 6 }, (_, i) => scheduler.timer(() => {}, i % 2 === 0));
        for (const { timer, at } of steps) at === null ? timers[timer]!.cancel() : timers[timer]!.arm(at);
        const work = timers.filter((timer) => timer.armed && !timer.background).map((timer) => timer.at);
        scheduler.run();
        expect(scheduler.now).toBe(Math.max(0, ...work));
        expect(timers.some((timer) => timer.armed && !timer.background)).toBe(false);
      }),
    );
  });
});

describe("time", () => {
  it("never goes back, whatever the timers do", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 60 }), (delays) => {
        const scheduler = new Scheduler();
        const times: number[] = [];
        let i = 0;
        const timer: Timer = scheduler.timer(() => {
          times.push(scheduler.now);
          if (i < delays.length) timer.armIn(delays[i++]!);
        });
        timer.arm(0);
        scheduler.run();
        let sum = 0;
        expect(times).toEqual([0, ...delays.map((delay) => (sum += delay))]);
      }),
    );
  });

  it("refuses a timer in the past", () => {
    const scheduler = new Scheduler();
    scheduler.run(100);
    expect(() => scheduler.timer(() => {}).arm(99)).toThrow("time goes back");
    expect(() => scheduler.timer(() => {}).arm(100)).not.toThrow();
  });

  it("refuses a timer at no time", () => {
    const scheduler = new Scheduler();
    expect(() => scheduler.timer(() => {}).arm(Number.NaN)).toThrow("time goes back");
  });

  it("refuses to run to a time in the past", () => {
    const scheduler = new Scheduler();
    scheduler.run(100);
    expect(() => scheduler.run(99)).toThrow("time goes back");
    scheduler.timer(() => {}).arm(200);
    expect(() => scheduler.run(99)).toThrow("time goes back");
  });

  it("stands at the given end, whether or not something is left", () => {
    const scheduler = new Scheduler();
    expect(scheduler.run(50)).toBe("idle");
    expect(scheduler.now).toBe(50);
    scheduler.timer(() => {}).arm(200);
    expect(scheduler.run(100)).toBe("until");
    expect(scheduler.now).toBe(100);
  });

  it("includes the given end", () => {
    const scheduler = new Scheduler();
    let fired = 0;
    scheduler.timer(() => fired++).arm(100);
    expect(scheduler.run(99)).toBe("until");
    expect(fired).toBe(0);
    expect(scheduler.run(100)).toBe("idle");
    expect(fired).toBe(1);
  });

  it("stays where the last timer left it when it runs to the end", () => {
    const scheduler = new Scheduler();
    scheduler.timer(() => {}).arm(42);
    expect(scheduler.run()).toBe("idle");
    expect(scheduler.now).toBe(42);
  });

  it("counts nanoseconds exactly over days", () => {
    const scheduler = new Scheduler();
    const days = 90 * 86_400 * 1_000_000_000;
    scheduler.run(days);
    scheduler.timer(() => {}).armIn(1);
    scheduler.run();
    expect(scheduler.now - days).toBe(1);
  });
});

describe("a storm", () => {
  function loop(scheduler: Scheduler): Sink<string> {
    const sink: Sink<string> = {
      receive(item) {
        scheduler.defer(sink, item);
        scheduler.defer(sink, item);
      },
    };
    return sink;
  }

  it("ends the run when one instant exceeds its limit", () => {
    const scheduler = new Scheduler();
    scheduler.defer(loop(scheduler), "broadcast");
    expect(scheduler.run(Number.POSITIVE_INFINITY, 1000)).toBe("storm");
    expect(scheduler.backlog).toBe(1001);
  });

  it("is not declared when an instant needs exactly its limit", () => {
    const scheduler = new Scheduler();
    for (let i = 0; i < 1000; i++) scheduler.defer(sinkInto([]), i);
    expect(scheduler.run(Number.POSITIVE_INFINITY, 1000)).toBe("idle");
    for (let i = 0; i < 1001; i++) scheduler.defer(sinkInto([]), i);
    expect(scheduler.run(Number.POSITIVE_INFINITY, 1000)).toBe("storm");
  });

  it("is told apart the same when only this instant is run", () => {
    const scheduler = new Scheduler();
    for (let i = 0; i < 10; i++) scheduler.defer(sinkInto([]), i);
    scheduler.timer(() => expect.unreachable()).arm(0);
    expect(scheduler.drain(10)).toBe("idle");
    for (let i = 0; i < 11; i++) scheduler.defer(sinkInto([]), i);
    expect(scheduler.drain(10)).toBe("storm");
  });

  it("is declared when a timer keeps re-arming itself for the same instant", () => {
    const scheduler = new Scheduler();
    const timer: Timer = scheduler.timer(() => timer.armIn(0));
    timer.arm(5);
    expect(scheduler.run(Number.POSITIVE_INFINITY, 1000)).toBe("storm");
    expect(scheduler.now).toBe(5);
  });

  it("is declared when timers and items feed each other within one instant", () => {
    const scheduler = new Scheduler();
    const timer = scheduler.timer(() => scheduler.defer({ receive: () => timer.armIn(0) }, null));
    timer.arm(5);
    expect(scheduler.run(Number.POSITIVE_INFINITY, 1000)).toBe("storm");
  });

  it("is counted anew in every instant", () => {
    const scheduler = new Scheduler();
    let left = 5000;
    const timer: Timer = scheduler.timer(() => {
      scheduler.defer(sinkInto([]), 0);
      if (--left > 0) timer.armIn(1);
    });
    timer.arm(1);
    expect(scheduler.run(Number.POSITIVE_INFINITY, 10)).toBe("idle");
    expect(left).toBe(0);
  });

  it("counts what a timer causes inside its own sending against the same limit", () => {
    const scheduler = new Scheduler();
    let handed = 0;
    const endless: Sink<number> = {
      receive() {
        handed++;
        scheduler.defer(endless, 0);
      },
    };
    scheduler
      .timer(() => {
        scheduler.disable();
        scheduler.defer(endless, 0);
        scheduler.enable();
      })
      .arm(5);
    expect(scheduler.run(Number.POSITIVE_INFINITY, 1000)).toBe("storm");
    expect(handed).toBeLessThanOrEqual(1000);
  });

  it("gives its waiting items back, in order, and leaves the scheduler usable", () => {
    const scheduler = new Scheduler();
    const got: number[] = [];
    for (let i = 0; i < 10; i++) scheduler.defer(sinkInto(got), i);
    expect(scheduler.run(Number.POSITIVE_INFINITY, 4)).toBe("storm");
    const back: unknown[] = [];
    scheduler.abandon((item) => back.push(item));
    expect(got).toEqual([0, 1, 2, 3]);
    expect(back).toEqual([4, 5, 6, 7, 8, 9]);
    scheduler.defer(sinkInto(got), 10);
    expect(scheduler.run()).toBe("idle");
    expect(got).toEqual([0, 1, 2, 3, 10]);
  });
});
