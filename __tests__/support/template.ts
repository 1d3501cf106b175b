/** The database that test files copy: migrated, with the small demo school around TODAY. */
export const TEMPLATE = 'schools24_template';

/** A Wednesday in the running term. */
export const TODAY = '2025-09-10';

export const DEMO_PASSWORD = 'schools24-demo';
