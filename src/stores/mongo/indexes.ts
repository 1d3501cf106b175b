import { type CreateIndexesOptions, type Db, type IndexSpecification, MongoServerError } from 'mongodb';

interface WantedIndex {
  collection: string;
  keys: IndexSpecification;
  options: CreateIndexesOptions & { name: string };
}

export interface IndexReport {
  collection: string;
  name: string;
  /** `refused`: this server has no such kind of index; the portable twin serves instead (`search_terms`, the nightly purge). */
  state: 'present' | 'refused';
  /** The server's words, when it refused. */
  reason?: string;
}

const named = (collection: string, columns: string, kind: 'idx' | 'uq') => `${collection}_${columns}_${kind}`;

const index = (collection: string, keys: Record<string, 1 | -1>, columns: string): WantedIndex => ({
  collection,
  keys,
  options: { name: named(collection, columns, 'idx') },
});

const unique = (collection: string, keys: Record<string, 1 | -1>, columns: string): WantedIndex => ({
  collection,
  keys,
  options: { name: named(collection, columns, 'uq'), unique: true },
});

/** Documents go when their own `expire_at` has passed. */
const ttl = (collection: string): WantedIndex => ({
  collection,
  keys: { expire_at: 1 },
  options: { name: named(collection, 'expire_at', 'idx'), expireAfterSeconds: 0 },
});

const text = (collection: string, weights: Record<string, number>): WantedIndex => ({
  collection,
  keys: Object.fromEntries(Object.keys(weights).map((field) => [field, 'text'])),
  options: { name: named(collection, 'text', 'idx'), weights },
});

const WANTED: readonly WantedIndex[] = [
  unique('questions', { question_id: 1, rev: 1 }, 'question_id_rev'),
  text('questions', { stem: 10, topic: 5, tags: 3 }),
  index(
    'questions',
    { subject_id: 1, grade: 1, topic: 1, difficulty: 1, is_current: 1 },
    'subject_id_grade_topic_difficulty_is_current',
  ),
  index('questions', { owner_staff_id: 1, status: 1, created_at: -1 }, 'owner_staff_id_status_created_at'),
  index('questions', { search_terms: 1 }, 'search_terms'),
  index('quiz_analytics', { computed_at: -1 }, 'computed_at'),
  index('activity_logs', { 'actor.user_id': 1, at: -1 }, 'actor_user_id_at'),
  index('activity_logs', { 'entity.type': 1, 'entity.id': 1, at: -1 }, 'entity_type_entity_id_at'),
  index('activity_logs', { action: 1, at: -1 }, 'action_at'),
  ttl('activity_logs'),
  unique('report_templates', { kind: 1, name: 1, rev: 1 }, 'kind_name_rev'),
  index('report_templates', { kind: 1, is_active: 1 }, 'kind_is_active'),
  unique('notification_archive', { user_id: 1, dedupe_key: 1 }, 'user_id_dedupe_key'),
  index('notification_archive', { user_id: 1, created_at: -1 }, 'user_id_created_at'),
  index('notification_archive', { user_id: 1, read_at: 1 }, 'user_id_read_at'),
  text('notification_archive', { title: 1, body: 1 }),
  ttl('notification_archive'),
];

/** How servers say "I have no such index": CannotCreateIndex, CommandNotSupported, NotImplemented. */
const UNSUPPORTED = new Set<unknown>([67, 115, 238]);

/** Kinds that have a portable twin; all others must exist, the rules of the school rest on them. */
const isOptional = ({ keys, options }: WantedIndex): boolean =>
  options.expireAfterSeconds !== undefined || Object.values(keys).includes('text');

/**
 * Creates the indexes of all collections, each by itself, so that one a server cannot have costs only that one. Those that
 * exist stay as they are; safe at every start and from several processes at once.
 *
 * @returns one entry an index, for `/readyz`
 * @throws MongoServerError when an index that must exist cannot be made, or when the server is unreachable
 */
export async function ensureIndexes(db: Db): Promise<IndexReport[]> {
  // Connects once; otherwise a server that is down fails most of the calls below with "Topology is closed".
  await db.command({ ping: 1 });
  return Promise.all(WANTED.map((wanted) => ensureIndex(db, wanted)));
}

async function ensureIndex(db: Db, wanted: WantedIndex): Promise<IndexReport> {
  const { collection, keys, options } = wanted;
  try {
    await db.collection(collection).createIndex(keys, options);
    return { collection, name: options.name, state: 'present' };
  } catch (error) {
    if (!(error instanceof MongoServerError && UNSUPPORTED.has(error.code) && isOptional(wanted))) throw error;
    return { collection, name: options.name, state: 'refused', reason: error.message };
  }
}
