import { describe, expect, it } from 'vitest';
import { buildFormat } from '../../../src/buffer/format.ts';
import { clubEntity, rollEntity } from '../../support/test-entities.ts';

describe('format', () => {
  it('has the same id in every process', () => {
    expect(buildFormat(clubEntity, 'document').id).toBe(buildFormat({ ...clubEntity }, 'document').id);
  });

  it('gets another id when a column, the shape or the dictionary changes', () => {
    const ids = [
      clubEntity,
      { ...clubEntity, columns: { ...clubEntity.columns, room: { type: 'text' } as const } },
      { ...clubEntity, shape: 2 },
      { ...clubEntity, examples: [{ name: 'Another club' }] },
    ].map((entity) => buildFormat(entity, 'document').id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('leaves out what the key or other columns say already', () => {
    expect(buildFormat(rollEntity, 'document').packer.names).toEqual(['taken_by']);
    expect(buildFormat(rollEntity, 'field').packer.names).toEqual(['mark', 'minutes', 'note']);
  });

  it('makes the dictionary of the examples: of documents, and of fields for fields', () => {
    expect(buildFormat(clubEntity, 'document').dictionary.toString()).toContain('Chess club of the upper school');
    expect(buildFormat(rollEntity, 'field').dictionary.toString()).toContain('came late, bus was delayed');
  });
});
