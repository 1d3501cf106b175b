import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ListQuery } from '../../src/buffer/reader.ts';
import type { Document } from '../../src/lib/entity.ts';
import { EVERYTHING } from '../../src/lib/reach.ts';
import { type Condition, compareDocuments, matches, type Sort } from '../../src/stores/postgres/conditions.ts';
import { type EngineHarness, useHarness } from '../support/engine-harness.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import {
  buildClub,
  buildClubMember,
  buildRoll,
  clubEntity,
  clubMemberEntity,
  testId,
} from '../support/test-entities.ts';

const CLUBS = 8;
const PEOPLE = 4;
const DAYS = ['2031-05-05', '2031-05-06'];

/** What a plain in-memory store would hold. */
interface Model {
  ids: string[];
  districts: string[];
  people: string[];
  clubs: Map<string, Document>;
  members: Map<string, Document>;
  rolls: Map<string, { head: Document; marks: Map<string, Document> }>;
  puts: number;
}

type Command = fc.AsyncCommand<Model, EngineHarness>;

/** A step: what it does to the model, and to the engine; it compares their answers itself. */
abstract class Step implements Command {
  check = () => true;
  abstract run(model: Model, h: EngineHarness): Promise<void>;
  toString(): string {
    return `${this.constructor.name} ${JSON.stringify(this)}`;
  }
}

class PutClub extends Step {
  readonly slot: number;
  readonly values: Document;
  constructor(slot: number, values: Document) {
    super();
    this.slot = slot;
    this.values = values;
  }
  async run(model: Model, h: EngineHarness) {
    const id = model.ids[this.slot]!;
    // A relation never changes in a document's life; names are unique.
    const club = buildClub({
      id,
      ...this.values,
      district: model.districts[this.slot % 4 === 0 ? 1 : 0],
      name: `${id.slice(0, 8)} ${model.puts++}`,
    });
    await h.put('club', club);
    model.clubs.set(id, club);
  }
}

class DeleteClub extends Step {
  readonly slot: number;
  constructor(slot: number) {
    super();
    this.slot = slot;
  }
  async run(model: Model, h: EngineHarness) {
    const club = model.clubs.get(model.ids[this.slot]!);
    if (!club) return;
    await h.remove('club', club);
    model.clubs.delete(String(club.id));
  }
}

class GetClub extends Step {
  readonly slot: number;
  constructor(slot: number) {
    super();
    this.slot = slot;
  }
  async run(model: Model, h: EngineHarness) {
    const id = model.ids[this.slot]!;
    expect((await h.reader.get('club', id, EVERYTHING))?.document).toEqual(model.clubs.get(id));
  }
}

/** Whom a list is for: clubs of these districts, by index, and open ones of these kinds. */
interface Reached {
  districts: number[];
  kinds: string[];
}

class ListClubs extends Step {
  readonly which: number[];
  readonly where: Condition[];
  readonly reached: Reached | undefined;
  readonly sort: Sort;
  readonly limit: number;
  constructor(which: number[], where: Condition[], reached: Reached | undefined, sort: Sort, limit: number) {
    super();
    this.which = which;
    this.where = where;
    this.reached = reached;
    this.sort = sort;
    this.limit = limit;
  }
  async run(model: Model, h: EngineHarness) {
    const values = this.which.map((index) => model.districts[index]!);
    const { reached } = this;
    const districts = new Set(reached?.districts.map((index) => model.districts[index]!));
    const isReached = ({ district, kind, is_open }: Document): boolean =>
      !reached || districts.has(String(district)) || (is_open === true && reached.kinds.includes(String(kind)));
    const wanted = [...model.clubs.values()]
      .filter((club) => values.includes(String(club.district)) && isReached(club))
      .filter((club) => matches(clubEntity, club, this.where))
      .sort((a, b) => compareDocuments(clubEntity, this.sort, a, b));
    const reach = reached
      ? { ...EVERYTHING, all: false, classes: districts, users: new Set(reached.kinds) }
      : EVERYTHING;
    const query = { entity: 'club', reach, relation: { column: 'district', values }, where: this.where };
    expect(await allPages(h, { ...query, sort: this.sort, limit: this.limit })).toEqual(wanted);
    expect(await h.reader.count(query)).toBe(wanted.length);
  }
}

class PutMember extends Step {
  readonly slot: number;
  readonly person: number;
  readonly note: string;
  readonly isGone: boolean;
  constructor(slot: number, person: number, note: string, isGone: boolean) {
    super();
    this.slot = slot;
    this.person = person;
    this.note = note;
    this.isGone = isGone;
  }
  async run(model: Model, h: EngineHarness) {
    const member = buildClubMember(model.ids[this.slot]!, { person_id: model.people[this.person], note: this.note });
    if (this.isGone) {
      if (!model.members.delete(String(member.id))) return;
      await h.remove('club_member', member);
    } else {
      await h.put('club_member', member);
      model.members.set(String(member.id), member);
    }
  }
}

class ListMembers extends Step {
  readonly slot: number;
  readonly limit: number;
  constructor(slot: number, limit: number) {
    super();
    this.slot = slot;
    this.limit = limit;
  }
  async run(model: Model, h: EngineHarness) {
    const clubId = model.ids[this.slot]!;
    const sort: Sort = { column: 'note', direction: 'desc' };
    const wanted = [...model.members.values()]
      .filter(({ club_id }) => club_id === clubId)
      .sort((a, b) => compareDocuments(clubMemberEntity, sort, a, b));
    const query = { entity: 'club_member', reach: EVERYTHING, relation: { column: 'club_id', values: [clubId] } };
    expect(await allPages(h, { ...query, sort, limit: this.limit })).toEqual(wanted);
    expect(await h.reader.count(query)).toBe(wanted.length);
  }
}

class PutMarks extends Step {
  readonly slot: number;
  readonly day: number;
  readonly marks: [person: number, mark: string][];
  constructor(slot: number, day: number, marks: [number, string][]) {
    super();
    this.slot = slot;
    this.day = day;
    this.marks = marks;
  }
  async run(model: Model, h: EngineHarness) {
    const key = `${model.ids[this.slot]}:${DAYS[this.day]}`;
    const head = buildRoll(model.ids[this.slot]!, DAYS[this.day]);
    const marks = this.marks.map(([person, mark]) => ({
      person_id: model.people[person]!,
      mark,
      minutes: 45,
      note: null,
    }));
    await h.buffer.putSheet('roll', key, head, marks);
    const roll = model.rolls.get(key) ?? { head, marks: new Map() };
    for (const mark of marks) roll.marks.set(mark.person_id, mark);
    model.rolls.set(key, roll);
  }
}

class GetRoll extends Step {
  readonly slot: number;
  readonly day: number;
  constructor(slot: number, day: number) {
    super();
    this.slot = slot;
    this.day = day;
  }
  async run(model: Model, h: EngineHarness) {
    const key = `${model.ids[this.slot]}:${DAYS[this.day]}`;
    const found = await h.reader.getSheet('roll', key, EVERYTHING);
    const wanted = model.rolls.get(key);
    expect(found?.head).toEqual(wanted?.head);
    expect(found?.fields).toEqual(wanted?.marks);
  }
}

/** Stores everything dirty of some entities, as a run's batches do. */
class Flush extends Step {
  readonly entities: string[];
  constructor(entities: string[]) {
    super();
    this.entities = entities;
  }
  async run(_model: Model, h: EngineHarness) {
    await flush(h, this.entities);
  }
}

async function flush(h: EngineHarness, entities: readonly string[]): Promise<void> {
  for (const entity of entities) {
    for await (const keys of h.buffer.dirtyKeys(entity, 0)) if (keys.length > 0) await h.flush(entity, keys);
  }
}

async function allPages(h: EngineHarness, query: ListQuery): Promise<Document[]> {
  const documents: Document[] = [];
  let after: ListQuery['after'];
  do {
    const page = await h.reader.list({ ...query, ...(after ? { after } : {}) });
    expect(page.items.length).toBeLessThanOrEqual(query.limit);
    documents.push(...page.items.map(({ document }) => document));
    after = page.next;
  } while (after);
  return documents;
}

const slot = fc.nat(CLUBS - 1);
const person = fc.nat(PEOPLE - 1);
const size = fc.option(fc.nat(2), { nil: null });
const clubValues = fc.record({
  size,
  kind: fc.constantFrom('sport', 'music', 'chess'),
  is_open: fc.boolean(),
  founded_on: fc.option(fc.constantFrom('1969-12-31', '1998-09-01', '2031-01-01'), { nil: null }),
  opens_at: fc.constantFrom('1969-12-31T23:59:59.999Z', '2031-05-05T08:30:00.000Z'),
  tags: fc.constantFrom(null, {}, { room: 'Ä1' }),
});
const where = fc.array(
  fc.oneof(
    fc.record({ column: fc.constant('size'), op: fc.constantFrom('eq', 'ne', 'lt', 'gte'), value: fc.nat(2) }),
    fc.record({ column: fc.constant('kind'), op: fc.constant('in'), value: fc.subarray(['sport', 'music', 'chess']) }),
    fc.record({ column: fc.constantFrom('size', 'founded_on'), op: fc.constantFrom('null', 'notNull') }),
    fc.record({
      column: fc.constant('opens_at'),
      op: fc.constant('gt'),
      value: fc.constant('2000-01-01T00:00:00.000Z'),
    }),
  ) as fc.Arbitrary<Condition>,
  { maxLength: 2 },
);
const sort = fc.record({
  column: fc.constantFrom('name', 'size', 'kind', 'founded_on', 'opens_at', 'is_open'),
  direction: fc.constantFrom('asc', 'desc'),
}) as fc.Arbitrary<Sort>;

const putClub = fc.tuple(slot, clubValues).map((args) => new PutClub(...args));
const reached: fc.Arbitrary<Reached> = fc.record({
  districts: fc.subarray([0, 1]),
  kinds: fc.subarray(['sport', 'music', 'chess']),
});
const listClubs = fc
  .tuple(
    fc.subarray([0, 1], { minLength: 1 }),
    where,
    fc.option(reached, { nil: undefined }),
    sort,
    fc.integer({ min: 1, max: 4 }),
  )
  .map((args) => new ListClubs(...args));

/** Named more than once: drawn more often. */
const steps: fc.Arbitrary<Command>[] = [
  putClub,
  putClub,
  slot.map((at) => new DeleteClub(at)),
  slot.map((at) => new GetClub(at)),
  listClubs,
  listClubs,
  fc.tuple(slot, person, fc.constantFrom('a', 'b', 'ß', 'Z'), fc.boolean()).map((args) => new PutMember(...args)),
  fc.tuple(slot, fc.integer({ min: 1, max: 3 })).map((args) => new ListMembers(...args)),
  fc
    .tuple(
      slot,
      fc.nat(1),
      fc.uniqueArray(fc.tuple(person, fc.constantFrom('present', 'absent')), {
        maxLength: 3,
        selector: ([who]) => who,
      }),
    )
    .map((args) => new PutMarks(...args)),
  fc.tuple(slot, fc.nat(1)).map((args) => new GetRoll(...args)),
];
const flushStep = fc
  .subarray(['club', 'club_member', 'roll'], { minLength: 1 })
  .map((entities): Command => new Flush(entities));

/** New ids an example: what earlier ones left behind does not matter. */
async function setup(h: EngineHarness): Promise<{ model: Model; real: EngineHarness }> {
  const model: Model = {
    ids: Array.from({ length: CLUBS }, () => testId('club')),
    districts: [testId('district'), testId('district')],
    people: Array.from({ length: PEOPLE }, () => testId('person')),
    clubs: new Map(),
    members: new Map(),
    rolls: new Map(),
    puts: 0,
  };
  // Members need their club's row.
  for (let at = 0; at < CLUBS; at++) await new PutClub(at, { size: at % 3 }).run(model, h);
  await flush(h, ['club']);
  return { model, real: h };
}

describe('I4: reads answer as if every acknowledged write were in the database', () => {
  const h = useHarness();
  const cold = useHarness({ settings: { warmSeconds: 0 } });

  it.each([
    ['with warm copies', () => h],
    ['without warm copies', () => cold],
  ] as const)('before, between and after syncs (%s)', async (_name, harness) => {
    await fc.assert(
      fc.asyncProperty(fc.commands([...steps, flushStep], { maxCommands: 60, size: 'max' }), async (commands) => {
        const start = await setup(harness());
        await fc.asyncModelRun(async () => start, commands);
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    ['with warm copies', () => h],
    ['without warm copies', () => cold],
  ] as const)('while syncs run all the time (%s)', async (_name, harness) => {
    await fc.assert(
      fc.asyncProperty(
        fc.commands(steps, { maxCommands: 60, size: 'max' }),
        fc.infiniteStream(fc.nat(3)),
        async (commands, waits) => {
          const start = await setup(harness());
          let isOver = false;
          const flushing = (async () => {
            while (!isOver) {
              await flush(harness(), ['club', 'club_member', 'roll']);
              for (let turns = waits.next().value; turns > 0; turns--) await nextTurn();
            }
          })();
          try {
            await fc.asyncModelRun(async () => start, commands);
          } finally {
            isOver = true;
            await flushing;
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  describe('as runs of a worker', () => {
    beforeAll(async () => void (await h.startWorker()));
    it('after everything is stored, answers stay the same', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.commands(steps, { maxCommands: 40, size: 'max' }),
          fc.commands([slot.map((at) => new GetClub(at)), listClubs], { maxCommands: 10, size: 'max' }),
          async (writes, reads) => {
            const start = await setup(h);
            await fc.asyncModelRun(async () => start, writes);
            await h.syncAll();
            await fc.asyncModelRun(async () => start, reads);
          },
        ),
        { numRuns: 10 },
      );
    });
  });
});

describe('I4: with the database down', () => {
  const h = useHarness();

  it('buffer and cache serve what they have, and nothing is answered wrongly', async () => {
    const proxy = await TcpProxy.open(h.databaseUrl);
    const away = await h.startProcess({}, { databaseUrl: proxy.url });
    const districts = [testId('district'), testId('district')];
    const club = fc.record({
      values: clubValues,
      fate: fc.constantFrom('pending', 'warm', 'changed', 'deleted', 'unknown'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(club, { minLength: 1, maxLength: 12 }), async (examples) => {
        proxy.up();
        const clubs = examples.map(({ values }, index) => buildClub({ ...values, district: districts[index % 2] }));
        const of = (...fates: string[]) => clubs.filter((_, index) => fates.includes(examples[index]!.fate));
        for (const one of of('warm', 'changed', 'deleted', 'unknown')) await h.put('club', one);
        await flush(h, ['club']);
        await h.buffer.dropWarm(
          'club',
          of('unknown').map(({ id }) => String(id)),
        );
        proxy.down();
        for (const one of of('pending', 'changed')) await away.engine.buffer.put('club', { ...one, size: 99 });
        for (const one of of('deleted')) await away.engine.buffer.put('club', one, { isTombstone: true });
        const get = async ({ id }: Document) =>
          (await away.engine.reader.get('club', String(id), EVERYTHING))?.document;
        for (const one of of('pending', 'changed')) expect(await get(one)).toEqual({ ...one, size: 99 });
        for (const one of of('warm')) expect(await get(one)).toEqual(one);
        for (const one of of('deleted')) expect(await get(one)).toBeUndefined();
        for (const one of of('unknown')) await expect(get(one)).rejects.toThrow();
        await flush(h, ['club']);
      }),
      { numRuns: 15 },
    );
    await away.close();
    await proxy.close();
  });

  it('a page read before it went down still serves, with later writes over it', async () => {
    const proxy = await TcpProxy.open(h.databaseUrl);
    const away = await h.startProcess({}, { databaseUrl: proxy.url });
    const district = testId('district');
    const [kept, changed, added] = [
      buildClub({ district, name: `${district} a` }),
      buildClub({ district, name: `${district} b` }),
      buildClub({ district, name: `${district} c` }),
    ];
    await h.put('club', kept);
    await h.put('club', changed);
    await flush(h, ['club']);
    const query: ListQuery = {
      entity: 'club',
      reach: EVERYTHING,
      relation: { column: 'district', values: [district] },
      sort: { column: 'name', direction: 'asc' },
      limit: 10,
    };
    expect((await away.engine.reader.list(query)).items.map(({ document }) => document)).toEqual([kept, changed]);
    proxy.down();
    expect((await away.engine.reader.list(query)).items.map(({ document }) => document)).toEqual([kept, changed]);
    await away.engine.buffer.put('club', added);
    await away.engine.buffer.put('club', { ...changed, size: 99 });
    expect((await away.engine.reader.list(query)).items.map(({ document }) => document)).toEqual([
      kept,
      { ...changed, size: 99 },
      added,
    ]);
    await expect(
      away.engine.reader.list({ ...query, relation: { column: 'district', values: [district, 'elsewhere'] } }),
    ).rejects.toThrow();
    await away.close();
    await proxy.close();
  });
});
