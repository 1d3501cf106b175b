import Joi from 'joi';
import { describe, expect, it } from 'vitest';
import { UnprocessableError, ValidationError } from '../../../src/errors/catalogue.ts';
import { createValidator } from '../../../src/http/validation.ts';
import { hasRule, line, withRule } from '../../../src/lib/joi.ts';

interface Span {
  from: number;
  to: number;
}

const span = withRule(
  Joi.object<Span>({ from: Joi.number().required(), to: Joi.number().required() }),
  ({ from, to }: Span) => (from <= to ? undefined : 'must not end before it begins'),
);

describe('a rule over several fields', () => {
  const validate = createValidator(Joi.object({ span }), '');
  const refusal = (value: unknown): unknown => {
    try {
      validate(value);
    } catch (error) {
      return error;
    }
    return undefined;
  };

  it('refuses with 422 what has the right form, in its own words', () => {
    expect(validate({ span: { from: 1, to: 2 } })).toEqual({ span: { from: 1, to: 2 } });
    const error = refusal({ span: { from: 2, to: 1 } });
    expect(error).toBeInstanceOf(UnprocessableError);
    expect(error).toMatchObject({ errors: [{ pointer: '/span', detail: 'must not end before it begins' }] });
  });

  it('leaves a wrong form a wrong form', () => {
    expect(refusal({ span: { from: 2, to: 1 }, more: 1 })).toBeInstanceOf(ValidationError);
    expect(refusal({ span: { from: 2 } })).toBeInstanceOf(ValidationError);
  });

  it('is found wherever it is in a schema', () => {
    expect(hasRule(Joi.array().items(Joi.object({ span })).describe())).toBe(true);
    expect(hasRule(Joi.object({ span: Joi.number() }).describe())).toBe(false);
  });
});

describe('a line of text', () => {
  it('counts characters, whatever they take in memory', () => {
    expect(line(3).validate('🎓🎓🎓').error).toBeUndefined();
    expect(line(3).validate('🎓🎓🎓🎓').error?.message).toContain('less than or equal to 3');
    expect(line(3).validate(' abc ')).toEqual({ value: 'abc' });
  });
});
