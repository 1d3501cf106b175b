import type { Knex } from 'knex';
import { FIRST_VERSION, NEXT_VERSION } from '../write-through.ts';
import type { Announcement, AnnouncementInput, State } from './announcement.ts';

/** Whose announcements a list holds; undefined for everybody's. */
export interface Reader {
  userId: string;
  roles: readonly string[];
  classIds: readonly string[];
}

/** Place in the list: pinned ones first, then the newest. */
export interface ListPosition {
  isPinned: boolean;
  publishAt: string;
  id: string;
}

export interface ListQuery {
  reader: Reader | undefined;
  state: State;
  now: Date;
  after: ListPosition | undefined;
  limit: number;
}

type Inserted = AnnouncementInput & Pick<Announcement, 'id' | 'author_id' | 'announced_at' | 'created_at'>;

const WRITTEN = [
  'title',
  'body',
  'audience',
  'class_id',
  'role',
  'publish_at',
  'expires_at',
  'is_pinned',
  'announced_at',
] as const satisfies readonly (keyof Announcement)[];

const SELECT = `SELECT a.id, a.author_id, coalesce(s.full_name, u.login) AS author_name, a.created_at, a.updated_at, a.version,
  ${WRITTEN.map((name) => `a.${name}`).join(', ')}
  FROM announcements a JOIN users u ON u.id = a.author_id LEFT JOIN staff s ON s.user_id = u.id`;

/** See `stateAt`. */
const IN_STATE: Record<State, string> = {
  current: 'a.publish_at <= :now AND (a.expires_at IS NULL OR a.expires_at > :now)',
  scheduled: 'a.publish_at > :now AND (a.expires_at IS NULL OR a.expires_at > :now)',
  expired: 'a.expires_at <= :now',
};

const IS_FOR_READER = `(a.audience = 'school' OR a.role = ANY(:roles::text[]) OR a.class_id = ANY(:classIds::uuid[]))`;

/** Announcements in PostgreSQL; the questions of a change are asked in its transaction. */
export class AnnouncementStore {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** @param knex of a change, which locks the row until it is committed */
  async find(id: string, knex?: Knex.Transaction): Promise<Announcement | undefined> {
    const { rows } = await (knex ?? this.#knex).raw(
      `${SELECT} WHERE a.id = ? AND a.deleted_at IS NULL ${knex ? 'FOR UPDATE OF a' : ''}`,
      [id],
    );
    return rows[0];
  }

  /** What readers see of others is current; what they wrote themselves they see in each state. */
  async list({ reader, state, now, after, limit }: ListQuery): Promise<Announcement[]> {
    const conditions = ['a.deleted_at IS NULL', IN_STATE[state]];
    if (reader)
      conditions.push(state === 'current' ? `(a.author_id = :userId OR ${IS_FOR_READER})` : 'a.author_id = :userId');
    if (after) conditions.push('(a.is_pinned, a.publish_at, a.id) < (:isPinned, :publishAt::timestamptz, :id::uuid)');
    const bindings = { ...reader, ...after, now, limit };
    const { rows } = await this.#knex.raw(
      `${SELECT} WHERE ${conditions.join(' AND ')} ORDER BY a.is_pinned DESC, a.publish_at DESC, a.id DESC LIMIT :limit`,
      bindings as unknown as Record<string, Knex.Value>,
    );
    return rows;
  }

  async insert(knex: Knex.Transaction, row: Inserted): Promise<void> {
    await knex.raw(
      `INSERT INTO announcements (id, author_id, created_at, updated_at, version, ${WRITTEN.join(', ')})
       VALUES (:id, :author_id, :created_at, :created_at, ${FIRST_VERSION}, ${WRITTEN.map((name) => `:${name}`).join(', ')})`,
      { ...row },
    );
  }

  async update(
    knex: Knex.Transaction,
    id: string,
    row: AnnouncementInput & Pick<Announcement, 'announced_at'>,
    now: Date,
  ): Promise<void> {
    const written = Object.fromEntries(WRITTEN.map((name) => [name, row[name]]));
    await knex.raw(
      `UPDATE announcements SET ${WRITTEN.map((name) => `${name} = :${name}`).join(', ')}, updated_at = :now, version = ${NEXT_VERSION}
       WHERE id = :id`,
      { ...written, id, now } as Record<string, Knex.Value>,
    );
  }

  async remove(knex: Knex.Transaction, id: string, now: Date): Promise<void> {
    await knex.raw(
      `UPDATE announcements SET deleted_at = :now, updated_at = :now, version = ${NEXT_VERSION} WHERE id = :id`,
      { id, now },
    );
  }

  /**
   * Takes those that are out by now and whose audience was not told: no other transaction gets them. The version stays, since
   * nothing has changed for who edits them.
   */
  async claimDue(knex: Knex.Transaction, now: Date, limit: number): Promise<Announcement[]> {
    const { rows } = await knex.raw(
      `UPDATE announcements SET announced_at = :now WHERE id IN (
         SELECT a.id FROM announcements a WHERE a.announced_at IS NULL AND a.deleted_at IS NULL AND ${IN_STATE.current}
         ORDER BY a.publish_at, a.id LIMIT :limit FOR UPDATE SKIP LOCKED)
       RETURNING id, audience, class_id, role, publish_at, expires_at`,
      { now, limit },
    );
    return rows;
  }

  /** Whether there is such a class in the current year. */
  async hasClass(knex: Knex, id: string): Promise<boolean> {
    const { rows } = await knex.raw(
      'SELECT 1 FROM classes c JOIN academic_years y ON y.id = c.academic_year_id WHERE c.id = ? AND y.is_current',
      [id],
    );
    return rows.length > 0;
  }
}
