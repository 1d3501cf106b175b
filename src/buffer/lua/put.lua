-- Stores a group of writes of one shard and marks them dirty.
--
-- Effect, a write: its entries replace or join those of its bucket with a fresh version, the bucket enters the dirty
-- index with its oldest first write, its key enters the pending index of each relation, counters rise. A failed or
-- waiting entry becomes dirty again and its failure record moves to the resolved list as superseded; a prefix that
-- says failed (a repair) keeps it set aside as it is, and is refused when nothing is set aside any more. All or nothing a
-- write; a refused write does not touch its neighbours.
-- A bundle (src/buffer/bundle.ts) is always new and counts for all its documents, by the first byte of its payload.
-- Events of the writes join the shard's events with them, in one entry, and whoever delivers them is told.
-- KEYS: 1 clock, 2 counters, 3 resolved, 4 events, then those that ARGV refers to by position
-- ARGV: 1 the writes, packed one after another (src/buffer/byte-writer.ts):
--   positions of bucket, dirty and failed key, entity, bucket, key, relation member (empty: a sheet), base version
--   (0 none), If-Match (-1 none), numbers of relations, entries and events, positions of the relations,
--   then field, prefix, raw bytes and payload of each entry, then each event as JSON
--   2 channel that is told of events
-- Returns an array, a number a write: the version, or minus the current version when If-Match is stale
--   or what it repairs is gone.

if redis.replicate_commands then redis.replicate_commands() end

local now = redis.call('TIME')
local now_us = now[1] * 1000000 + now[2]
local now_ms = math.floor(now_us / 1000)
local clock = tonumber(redis.call('GET', KEYS[1]) or '0')
local results = {}
local entries_new, raw_delta, stored_delta = {}, {}, {}
local packed, at = ARGV[1], 1
local happened, has_events = {}, false

-- An argument list has an end, and so has an entry.
local function log_happened(most)
  if #happened <= most then return end
  redis.call('XADD', KEYS[4], '*', unpack(happened))
  happened = {}
  has_events = true
end

local function current_version(bucket_key, fields, is_sheet, base)
  local current = base
  local entries = is_sheet and redis.call('HVALS', bucket_key) or redis.call('HMGET', bucket_key, unpack(fields))
  for _, entry in ipairs(entries) do
    if entry then current = math.max(current, read_version(entry)) end
  end
  return current
end

while at <= #packed do
  local bucket_at, dirty_at, failed_at, entity, bucket, key, member, base, if_match, relation_count, count,
    event_count
  bucket_at, dirty_at, failed_at, entity, bucket, key, member, base, if_match, relation_count, count,
    event_count, at = struct.unpack('>I2I2I2I2c0I2c0I2c0I2c0ddBI2B', packed, at)
  local bucket_key, dirty_key, failed_key = KEYS[bucket_at], KEYS[dirty_at], KEYS[failed_at]
  local is_sheet = member == ''
  local relations = {}
  for i = 1, relation_count do
    local position
    position, at = struct.unpack('>I2', packed, at)
    relations[i] = KEYS[position]
  end
  local fields, puts = {}, {}
  for i = 1, count do
    local put = {}
    put.field, put.prefix, put.raw, put.payload, at = struct.unpack('>I2c0c4I3I4c0', packed, at)
    fields[i] = put.field
    puts[i] = put
  end
  local events = {}
  for i = 1, event_count do
    events[i], at = struct.unpack('>I4c0', packed, at)
  end

  local refused = nil
  if if_match >= 0 then
    local current = current_version(bucket_key, fields, is_sheet, base)
    if current ~= if_match then refused = current end
  end
  local is_repair = read_state(puts[1].prefix) ~= 0
  if is_repair and not refused and redis.call('HEXISTS', failed_key, key) == 0 then
    refused = current_version(bucket_key, fields, is_sheet, base)
  end

  if refused then
    results[#results + 1] = -refused
  else
    local version = math.max(now_us, clock + 1, base + 1)
    local olds = redis.call('HMGET', bucket_key, unpack(fields))
    for i = 1, count do
      if olds[i] then version = math.max(version, read_version(olds[i]) + 1) end
    end
    clock = version
    local write_ms = math.floor(version / 1000)
    local oldest = write_ms
    local hset = { 'HSET', bucket_key }
    local was_parked = false
    for i, put in ipairs(puts) do
      local old = olds[i]
      local first, writes = write_ms, 1
      if old then
        if read_state(old) ~= 0 then was_parked = true end
        if is_repair then put.prefix = with_flags_state(put.prefix, read_state(old)) end
        first = math.min(first, first_write_ms(old))
        writes = read_writes(old) + 1
        raw_delta[entity] = (raw_delta[entity] or 0) - read_raw_bytes(old)
        stored_delta[entity] = (stored_delta[entity] or 0) - #old
      else
        if is_bundle(put.prefix) then writes = string.byte(put.payload, 1) end
        entries_new[entity] = (entries_new[entity] or 0) + writes
      end
      if first < oldest then oldest = first end
      local entry = write_entry(put.prefix, version, math.ceil((write_ms - first) / 1000), writes, put.raw, put.payload)
      hset[#hset + 1] = put.field
      hset[#hset + 1] = entry
      raw_delta[entity] = (raw_delta[entity] or 0) + put.raw
      stored_delta[entity] = (stored_delta[entity] or 0) + #entry
    end
    redis.call(unpack(hset))
    if not is_repair then
      local indexed = redis.call('ZSCORE', dirty_key, bucket)
      if not indexed or tonumber(indexed) > oldest then redis.call('ZADD', dirty_key, oldest, bucket) end
    end
    for _, relation in ipairs(relations) do redis.call('HSET', relation, is_sheet and key or member, '') end
    if not is_repair and (was_parked or is_sheet) then
      local record = redis.call('HGET', failed_key, key)
      if record then
        redis.call('LPUSH', KEYS[3], resolved_record(record, 'superseded', now_ms, version))
        redis.call('LTRIM', KEYS[3], 0, 999)
        redis.call('HDEL', failed_key, key)
        if cjson.decode(record).state == 'waiting' then redis.call('HINCRBY', KEYS[2], 'waiting', -1) end
        if is_sheet then
          local all = redis.call('HGETALL', bucket_key)
          for i = 1, #all, 2 do
            if read_state(all[i + 1]) ~= 0 then redis.call('HSET', bucket_key, all[i], with_state(all[i + 1], 0)) end
          end
          reindex_bucket(bucket_key, dirty_key, bucket)
        end
      end
    end
    for _, event in ipairs(events) do
      happened[#happened + 1] = 'event'
      happened[#happened + 1] = event
    end
    log_happened(256)
    results[#results + 1] = version
  end
end

redis.call('SET', KEYS[1], string.format('%.0f', clock))
for entity, delta in pairs(entries_new) do redis.call('HINCRBY', KEYS[2], entity .. ':entries', delta) end
for entity, delta in pairs(raw_delta) do redis.call('HINCRBY', KEYS[2], entity .. ':raw', delta) end
for entity, delta in pairs(stored_delta) do redis.call('HINCRBY', KEYS[2], entity .. ':stored', delta) end
log_happened(0)
if has_events then redis.call('PUBLISH', ARGV[2], KEYS[4]) end
return results
