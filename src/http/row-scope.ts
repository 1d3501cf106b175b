import { NotFoundError } from '../errors/catalogue.ts';
import type { Actor, ScopeCode } from '../lib/actor.ts';
import { type Reach, type RowScopes, type RowsRequest, reaches, type Within } from '../lib/reach.ts';

const ROW_OF_OTHERS = 'is not one of yours';

/**
 * Checks that the rows which a request names are its caller's.
 *
 * @param scope without A
 * @returns the caller's reach; undefined where the request names no rows: then nothing is known about them
 * @throws NotFoundError, with the places in the body, for rows outside: they do not exist for the caller
 */
export async function requireWithin(
  within: Within | readonly Within[],
  request: RowsRequest,
  actor: Actor,
  scope: readonly ScopeCode[],
  rowScopes: RowScopes,
): Promise<Reach | undefined> {
  let reach: Reach | undefined;
  for (const one of isList(within) ? within : [within]) {
    const ids = one.id(request);
    if (ids === null || ids === undefined) continue;
    const outside: number[] = [];
    for (const [place, id] of (typeof ids === 'string' ? [ids] : ids).entries()) {
      if (id === null || id === undefined) continue;
      reach ??= await rowScopes.reachOf(actor, scope);
      if (!(await isIn(one, id, request, reach, rowScopes))) outside.push(place);
    }
    if (outside.length > 0) throw new NotFoundError(one.pointer ? problemsAt(one.pointer, outside) : undefined);
  }
  return reach;
}

const isList = (within: Within | readonly Within[]): within is readonly Within[] => Array.isArray(within);

async function isIn(
  { rows, orMembersOf }: Within,
  id: string,
  request: RowsRequest,
  reach: Reach,
  { classOf }: RowScopes,
): Promise<boolean> {
  if (rows !== undefined && reaches(reach, typeof rows === 'string' ? rows : rows(request), id)) return true;
  // Whoever leads no such class needs no look at where a student is.
  if (orMembersOf === undefined || reach[orMembersOf].size === 0) return false;
  const classId = await classOf(id);
  return classId !== undefined && reach[orMembersOf].has(classId);
}

const problemsAt = (pointer: string, places: readonly number[]) => ({
  errors: places.map((place) => ({ pointer: pointer.replace('*', String(place)), detail: ROW_OF_OTHERS })),
});
