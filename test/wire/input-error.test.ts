import { expect, it } from "vitest";
import { InputError } from "../../src/wire/input-error.ts";

it("says file, line, column, what was found and what was expected", () => {
  const error = new InputError({ file: "web.yaml", line: 3, column: 7 }, '"tcpp"', "a protocol");
  expect(error.message).toBe('web.yaml:3:7: found "tcpp", expected a protocol');
  expect(error).toBeInstanceOf(Error);
  expect(error.name).toBe("InputError");
});
