-- Sets one key's entries aside as failed or waiting, or makes them dirty again.
--
-- Effect: entries that still have the given version take the new state; their failure record is written (parked) or
-- left as it is (made dirty); the bucket's place in the dirty index follows. An entry written meanwhile is not touched.
-- KEYS: 1 bucket, 2 dirty, 3 failed, 4 counters, 5 waiters of the parent (or the bucket again)
-- ARGV: bucket, key, state (0 dirty, 1 failed, 2 waiting), record or '', waiter name or '',
--   then field and version ('' any) of each entry
-- Returns the number of entries that took the state

-- Setting aside is part of making room, so a full Redis must not refuse it; see acknowledge.lua.
redis.call('ZREM', KEYS[2], '')

local bucket, key, state, record, waiter = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local changed, was_waiting = 0, false
for i = 6, #ARGV, 2 do
  local entry = redis.call('HGET', KEYS[1], ARGV[i])
  if entry and (ARGV[i + 1] == '' or read_version(entry) == tonumber(ARGV[i + 1])) then
    if read_state(entry) == 2 then was_waiting = true end
    if read_state(entry) ~= state then redis.call('HSET', KEYS[1], ARGV[i], with_state(entry, state)) end
    changed = changed + 1
  end
end
if changed == 0 then
  if waiter ~= '' and state == 0 then redis.call('SREM', KEYS[5], waiter) end
  return 0
end
if record ~= '' then redis.call('HSET', KEYS[3], key, record) end
if state == 0 then redis.call('HDEL', KEYS[3], key) end
if waiter ~= '' then
  if state == 2 then redis.call('SADD', KEYS[5], waiter) else redis.call('SREM', KEYS[5], waiter) end
end
if state == 2 and not was_waiting then redis.call('HINCRBY', KEYS[4], 'waiting', 1) end
if state ~= 2 and was_waiting then redis.call('HINCRBY', KEYS[4], 'waiting', -1) end
reindex_bucket(KEYS[1], KEYS[2], bucket)
return changed
