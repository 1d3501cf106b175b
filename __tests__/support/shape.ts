import type Joi from 'joi';
import { expect } from 'vitest';

/** Holds an answer's data against what its route declares: every key, every type, nothing else. */
export function expectShape(schema: Joi.Schema, data: unknown): void {
  const { error } = schema.validate(data, { convert: false, abortEarly: false });
  expect(error?.message).toBeUndefined();
}
