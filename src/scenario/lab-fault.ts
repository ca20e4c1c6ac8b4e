import type { Path } from "../docker/source.ts";
import { InputError } from "../wire/input-error.ts";

/** Something in a case that cannot be: where it stands, and what was expected there. */
export class LabFault extends Error {
  constructor(
    readonly path: Path,
    readonly expected: string,
  ) {
    super(`${path.join(".")}: expected ${expected}`);
  }
}

/** Runs what may refuse its input; the refusal becomes one of the value at `path`. @throws {LabFault}. */
export function located<T>(path: Path, expected: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof RangeError) throw new LabFault(path, `${expected} (${error.message})`);
    if (error instanceof InputError) {
      const { place, found, expected: wanted } = error;
      throw new LabFault(
        path,
        `${expected}; line ${place.line}, column ${place.column}: found ${found}, expected ${wanted}`,
      );
    }
    throw error;
  }
}
