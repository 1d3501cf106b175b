import { describe, expect, it } from 'vitest';
import { RouteTable } from '../../../src/http/route-table.ts';

describe('route table', () => {
  const table = new RouteTable<string>();
  table.add('GET', '/things', 'list');
  table.add('POST', '/things', 'create');
  table.add('GET', '/things/:id', 'read');
  table.add('GET', '/things/mine', 'mine');
  table.add('PUT', '/things/:id', 'replace');
  table.add('PUT', '/things/:id/parts/:part', 'part');

  it.each([
    ['GET', '/things', 'list', {}],
    ['HEAD', '/things', 'list', {}],
    ['GET', '/things/', 'list', {}],
    ['GET', '/things/7', 'read', { id: '7' }],
    ['GET', '/things/mine', 'mine', {}],
    ['GET', '/things/a%2Fb%20c', 'read', { id: 'a/b c' }],
    ['PUT', '/things/7/parts/x', 'part', { id: '7', part: 'x' }],
  ])('%s %s', (method, path, target, params) => {
    const found = table.find(method, path)!;
    expect({ target: found.target, params: { ...found.params } }).toEqual({ target, params });
  });

  it.each([
    ['GET', '/Things'],
    ['GET', '/things/7/parts'],
    ['DELETE', '/things'],
    ['BREW', '/things'],
    ['GET', '/things/%'],
    ['GET', ''],
    ['GET', `/things/${'x'.repeat(1_000)}`],
  ])('nothing for %s %s', (method, path) => {
    expect(table.find(method, path)).toBeUndefined();
  });

  it('tells the methods of a path', () => {
    expect(table.methodsOf('/things').sort()).toEqual(['GET', 'HEAD', 'POST']);
    expect(table.methodsOf('/things/7/parts/x')).toEqual(['PUT']);
    expect(table.methodsOf('/nothing')).toEqual([]);
  });

  it('takes no literal path for a parameter', () => {
    expect(table.find('PUT', '/things/mine')).toBeUndefined();
    expect(table.methodsOf('/things/mine').sort()).toEqual(['GET', 'HEAD']);
  });

  it('finds ids as long as those of writes', () => {
    expect(table.find('GET', `/things/${'x'.repeat(300)}`)?.target).toBe('read');
  });

  it('refuses two routes for one path', () => {
    expect(() => table.add('GET', '/things', 'other')).toThrow(/already declared/);
  });
});
