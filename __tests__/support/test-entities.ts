import Joi from 'joi';
import type { Knex } from 'knex';
import { up as createOutbox } from '../../migrations/20261124090018_create_outbox_events.ts';
import {
  bigint,
  boolean,
  type Document,
  date,
  defineEntity,
  type EntityDefinition,
  instant,
  int,
  json,
  oneOf,
  text,
  uuid,
} from '../../src/lib/entity.ts';
import { namedId } from '../../src/lib/ids.ts';

const anything = Joi.object().unknown(true);

/**
 * A parent with every type of column, a unique name and soft delete. Its stored rows tell when their size is another; names of
 * events are the school's, so tests borrow them.
 */
export const clubEntity = defineEntity({
  name: 'club',
  service: 'test',
  kind: 'document',
  columns: {
    id: uuid,
    district: text,
    name: text,
    size: int,
    budget: bigint,
    is_open: boolean,
    kind: oneOf('sport', 'music', 'chess'),
    founded_on: date,
    opens_at: instant,
    tags: json,
    deleted_at: instant,
  },
  key: ['id'],
  schema: anything,
  lane: 'bulk',
  durability: 'buffered',
  sink: {
    kind: 'postgres',
    table: 'clubs',
    conflict: ['id'],
    version: 'version',
    softDelete: 'deleted_at',
    events: [
      {
        name: 'homework.changed',
        payload: { club_id: 'id', size: 'size', founded_on: 'founded_on', opens_at: 'opens_at', tags: 'tags' },
        when: 'written.size IS DISTINCT FROM stored.size',
      },
    ],
  },
  relations: ['district'],
  uniques: ['name'],
  shape: 1,
  examples: [{ name: 'Chess club of the upper school', tags: { room: 'B12', days: ['monday', 'friday'] } }],
});

/** A child: its club must be stored first. */
export const clubMemberEntity = defineEntity({
  name: 'club_member',
  service: 'test',
  kind: 'document',
  columns: {
    id: uuid,
    club_id: uuid,
    person_id: uuid,
    role: oneOf('member', 'captain'),
    note: text,
    deleted_at: instant,
  },
  key: ['club_id', 'person_id'],
  derived: { id: ({ club_id, person_id }) => namedId('club_member', String(club_id), String(person_id)) },
  schema: anything,
  lane: 'bulk',
  durability: 'buffered',
  sink: {
    kind: 'postgres',
    table: 'club_members',
    conflict: ['club_id', 'person_id'],
    version: 'version',
    softDelete: 'deleted_at',
  },
  parents: [{ entity: 'club', key: ({ club_id }) => (club_id ? String(club_id) : null) }],
  relations: ['club_id'],
  shape: 1,
  examples: [{ note: 'joined after the autumn fair' }],
});

/** A sheet: who came on a day, each person a field with its own version. */
export const rollEntity = defineEntity({
  name: 'roll',
  service: 'test',
  kind: 'sheet',
  columns: { id: uuid, club_id: uuid, held_on: date, taken_by: uuid },
  key: ['club_id', 'held_on'],
  derived: { id: ({ club_id, held_on }) => namedId('roll', String(club_id), String(held_on)) },
  fields: {
    key: 'person_id',
    columns: { person_id: uuid, mark: oneOf('present', 'absent'), minutes: int, note: text },
  },
  schema: anything,
  fieldSchema: anything,
  lane: 'bulk',
  durability: 'buffered',
  sink: {
    kind: 'postgres',
    table: 'rolls',
    conflict: ['club_id', 'held_on'],
    version: 'version',
    fields: {
      table: 'roll_marks',
      conflict: ['roll_id', 'person_id'],
      version: 'version',
      headId: 'roll_id',
      copy: {},
    },
    events: [
      {
        name: 'attendance.stored',
        payload: { club_id: 'club_id', date: 'held_on' },
        changed: { key: 'person', column: 'minutes' },
      },
    ],
  },
  relations: ['club_id'],
  shape: 1,
  examples: [{ fields: [{ note: 'came late, bus was delayed' }] }],
});

/** Stored in MongoDB. */
export const eventLogEntity = defineEntity({
  name: 'event_log',
  service: 'test',
  kind: 'document',
  columns: { id: uuid, at: instant, what: text, data: json },
  key: ['id'],
  schema: anything,
  lane: 'bulk',
  durability: 'buffered',
  sink: { kind: 'mongo', collection: 'event_logs' },
  shape: 1,
  examples: [{ what: 'club.created' }],
});

/** A row that the database's present state may refuse: a locked permit takes no more changes. */
export const permitEntity = defineEntity({
  name: 'permit',
  service: 'test',
  kind: 'document',
  columns: { id: uuid, holder: text },
  key: ['id'],
  schema: anything,
  lane: 'bulk',
  durability: 'buffered',
  sink: {
    kind: 'postgres',
    table: 'permits',
    conflict: ['id'],
    version: 'version',
    refuse: [{ code: 'PERMIT_LOCKED', message: 'the permit is locked', when: 'stored.is_locked' }],
    events: [{ name: 'leave.decided', payload: { holder: 'holder' } }],
  },
  shape: 1,
  examples: [{ holder: 'Chess club' }],
});

/** Appended and never changed: those of one commit share an entry. */
export const scanEntity = defineEntity({
  name: 'scan',
  service: 'test',
  kind: 'document',
  columns: {
    id: uuid,
    person_id: uuid,
    at: instant,
    gate: oneOf('north', 'south'),
    minutes: int,
    note: text,
    data: json,
  },
  key: ['id'],
  schema: anything,
  lane: 'bulk',
  durability: 'buffered',
  bundled: true,
  sink: { kind: 'postgres', table: 'scans', conflict: ['id'], version: 'version' },
  shape: 1,
  examples: [{ note: 'card was held upside down', data: { device: 'gate reader' } }],
});

export const testEntities: readonly EntityDefinition[] = [
  clubEntity,
  clubMemberEntity,
  rollEntity,
  eventLogEntity,
  permitEntity,
  scanEntity,
];

/** What the database itself refuses (used by tests of bad rows): longer names, negative sizes. */
export const NAME_LENGTH = 40;

export async function createTestTables(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE clubs (
      id uuid PRIMARY KEY, district text NOT NULL, name text NOT NULL CHECK (char_length(name) <= ${NAME_LENGTH}),
      size int CHECK (size >= 0), budget bigint, is_open boolean, kind text, founded_on date, opens_at timestamptz(3),
      tags jsonb, version bigint NOT NULL, deleted_at timestamptz(3));
    CREATE UNIQUE INDEX clubs_name_uq ON clubs (name) WHERE deleted_at IS NULL;
    CREATE INDEX clubs_district_idx ON clubs (district);
    CREATE TABLE club_members (
      id uuid NOT NULL, club_id uuid NOT NULL REFERENCES clubs, person_id uuid NOT NULL, role text, note text,
      version bigint NOT NULL, deleted_at timestamptz(3), PRIMARY KEY (club_id, person_id));
    CREATE TABLE rolls (
      id uuid NOT NULL UNIQUE, club_id uuid NOT NULL, held_on date NOT NULL, taken_by uuid, version bigint NOT NULL,
      PRIMARY KEY (club_id, held_on));
    CREATE TABLE roll_marks (
      roll_id uuid NOT NULL REFERENCES rolls (id), person_id uuid NOT NULL, mark text, minutes int CHECK (minutes >= 0),
      note text, version bigint NOT NULL, PRIMARY KEY (roll_id, person_id));
    CREATE TABLE scans (
      id uuid PRIMARY KEY, person_id uuid, at timestamptz(3), gate text, minutes int CHECK (minutes >= 0), note text,
      data jsonb, version bigint NOT NULL);
    CREATE TABLE permits (id uuid PRIMARY KEY, holder text, version bigint NOT NULL, is_locked boolean NOT NULL DEFAULT false);
  `);
  await createOutbox(knex);
}

let counter = 0;
/** An id that is new in this process and, by its seed, the same in every run. */
export const testId = (...parts: (string | number)[]): string => namedId('test', ...parts, counter++);

export const buildClub = (changes: Document = {}): Document => {
  const id = (changes.id as string | undefined) ?? testId('club');
  return {
    id,
    district: 'north',
    name: `Club ${id.slice(0, 13)}`,
    size: 12,
    budget: 150_000,
    is_open: true,
    kind: 'chess',
    founded_on: '1998-09-01',
    opens_at: '2031-05-05T08:30:00.000Z',
    tags: { room: 'B12' },
    deleted_at: null,
    ...changes,
  };
};

export const buildClubMember = (clubId: string, changes: Document = {}): Document => {
  const document: Document = {
    club_id: clubId,
    person_id: testId('person'),
    role: 'member',
    note: 'joined in spring',
    deleted_at: null,
    ...changes,
  };
  return { ...document, id: namedId('club_member', clubId, String(document.person_id)) };
};

export const buildRoll = (clubId: string, heldOn = '2031-05-05', changes: Document = {}): Document => ({
  id: namedId('roll', clubId, heldOn),
  club_id: clubId,
  held_on: heldOn,
  taken_by: null,
  ...changes,
});

export const buildMark = (changes: Document = {}): Document => ({
  person_id: testId('person'),
  mark: 'present',
  minutes: 45,
  note: null,
  ...changes,
});

export const buildEvent = (changes: Document = {}): Document => ({
  id: testId('event'),
  at: '2031-05-05T08:30:00.000Z',
  what: 'club.created',
  data: { by: 'teacher001' },
  ...changes,
});

export const buildScan = (changes: Document = {}): Document => ({
  id: testId('scan'),
  person_id: testId('person'),
  at: '2031-05-05T08:30:00.000Z',
  gate: 'north',
  minutes: 0,
  note: 'came early',
  data: { device: 'gate reader 4' },
  ...changes,
});
